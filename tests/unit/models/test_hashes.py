"""Hashes are remembered while a file stays as it is, and never longer."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from limner.canonical import file_hash
from limner.errors import ModelNotFound
from limner.models.hashes import Hashes, git_blob_hash


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    seen: list[Path] = []

    def counting(path: Path) -> str:
        seen.append(path)
        return file_hash(path)

    monkeypatch.setattr("limner.models.hashes.file_hash", counting)
    return seen


def test_an_unchanged_file_is_read_once(tmp_path: Path, file: Path, reads: list[Path]) -> None:
    right = "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert Hashes(tmp_path / "cache").of([file]) == {file: right}
    assert Hashes(tmp_path / "cache").of([file]) == {file: right}
    assert len(reads) == 1


def test_a_file_changed_in_place_with_its_time_set_back_is_read_again(
    tmp_path: Path, file: Path, reads: list[Path]
) -> None:
    before = Hashes(tmp_path / "cache").of([file])[file]
    stat = file.stat()
    file.write_bytes(b"abd")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert Hashes(tmp_path / "cache").of([file])[file] != before
    assert len(reads) == 2


def test_a_link_is_known_by_the_file_behind_it(tmp_path: Path, file: Path, reads: list[Path]) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    cache = Hashes(tmp_path / "cache")
    assert cache.of([file])[file] == cache.of([link])[link]
    assert len(reads) == 1


@pytest.mark.parametrize("damage", [b"", b"not a database, but long enough to be read as one" * 40])
def test_a_damaged_memory_costs_time_only(tmp_path: Path, file: Path, reads: list[Path], damage: bytes) -> None:
    cache = Hashes(tmp_path)
    cache.file.write_bytes(damage)
    first = cache.of([file])
    assert cache.of([file]) == first
    assert cache.of([file]) == first
    assert len(reads) <= 2


def test_a_memory_that_cannot_be_written_costs_time_only(file: Path) -> None:
    assert Hashes(file / "below-a-file").of([file])[file].startswith("sha256:")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="gone cannot be read"):
        Hashes(tmp_path).of([tmp_path / "gone"])


def test_gits_name_of_a_content(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello\n")
    assert git_blob_hash(tmp_path / "x") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object
