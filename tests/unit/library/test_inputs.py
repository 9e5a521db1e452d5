"""The input store: pictures by the hash of their bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.canonical import file_hash
from limner.errors import PictureNotFound, UnreadablePicture
from limner.library.files import encode
from limner.library.inputs import Inputs
from tests.unit.library.making import pixels, record


def test_ingest_and_find(tmp_path: Path) -> None:
    (tmp_path / "a.jpeg").write_bytes(encode(pixels(), record(), "jpeg"))
    store = Inputs(tmp_path / "inputs")
    name = store.ingest(tmp_path / "a.jpeg")
    assert name == store.ingest(tmp_path / "a.jpeg") == file_hash(tmp_path / "a.jpeg")
    assert store.open_input(name).read_bytes() == (tmp_path / "a.jpeg").read_bytes()
    assert len(list((tmp_path / "inputs").iterdir())) == 1


def test_what_is_damaged_is_refused_before_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(pixels(), record())[:-200])
    with pytest.raises(UnreadablePicture):
        Inputs(tmp_path / "inputs").ingest(tmp_path / "a.png")
    assert not (tmp_path / "inputs").exists()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "sha256:",
        "sha256:" + "0" * 64,
        "sha256:../../etc/passwd",
        "sha256:" + "0" * 63 + "/",
        "../a",
        "sha256:" + "A" * 64,
    ],
)
def test_other_names_find_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(PictureNotFound):
        Inputs(tmp_path).open_input(name)


def test_what_was_changed_in_the_store_is_refused(tmp_path: Path) -> None:
    """Else a replay would draw over another picture and call it the same."""
    store = Inputs(tmp_path / "inputs")
    (tmp_path / "a.png").write_bytes(encode(pixels(), record()))
    (tmp_path / "b.png").write_bytes(encode(255 - pixels(), record()))
    name = store.ingest(tmp_path / "a.png")
    store.open_input(name).write_bytes((tmp_path / "b.png").read_bytes())
    with pytest.raises(UnreadablePicture, match="changed or damaged"):
        store.open_input(name)
