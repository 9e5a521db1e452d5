"""Where scorers' weights lie: what is here, what is damaged, and that nothing unchecked is read."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch

from limner.config import Settings
from limner.errors import CorruptFile, InvalidRequest, ModelNotFound, OfflineError
from limner.evaluate.cache import ScoreCache
from limner.evaluate.clip_score import ClipB32, ClipL14
from limner.evaluate.vqa_score import VqaScore
from limner.models.hashes import git_blob_hash
from limner.models.hub.cache import repo_folder
from limner.models.packages import File, Package, here, opened, pull, to_fetch
from tests import scorers

COMMIT = "a" * 40


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return Settings.load()


def cache_file(file: File, data: bytes) -> Path:
    """A file in the hub's cache as the hub's library leaves it: a link to a blob named by its hash."""
    root = repo_folder(file.repo)
    place = root / "snapshots" / file.commit / file.name
    place.parent.mkdir(parents=True, exist_ok=True)
    (root / "blobs").mkdir(exist_ok=True)
    blob = root / "blobs" / "new"
    blob.write_bytes(data)
    blob = blob.rename(root / "blobs" / git_blob_hash(blob))
    place.symlink_to(blob)
    return blob


def test_what_is_here_is_found_and_checked(settings: Settings) -> None:
    one = File("org/a", COMMIT, "sub/config.json", "config.json")
    package = Package("x", (one,))
    assert here(package, settings) is None
    with pytest.raises(ModelNotFound) as caught:
        opened(package, settings)
    assert caught.value.hint == "limner metrics pull x"
    blob = cache_file(one, b"{}")
    assert opened(package, settings)["config.json"].read_bytes() == b"{}"
    assert to_fetch(package, settings) == ()
    blob.write_bytes(b"[]")
    with pytest.raises(CorruptFile, match="hashes differ"):
        opened(package, settings)
    assert here(package, settings) is None, "what is damaged is taken out of the cache"


def test_a_conversion_that_was_interrupted_is_no_conversion(settings: Settings, tmp_path: Path) -> None:
    file = File("org/a", COMMIT, "net.pt", "model.safetensors")
    package = Package("x", (file,))
    left = file.converted(settings)
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    assert here(package, settings) is None
    source = tmp_path / "net.pt"
    torch.save({"a.weight": torch.ones(2)}, source)
    found = pull(package, settings, given=source)
    assert found["model.safetensors"] == left
    assert torch.equal(scorers.load_file(left)["a.weight"], torch.ones(2))


def test_a_given_file_must_be_one_of_the_packages(settings: Settings, tmp_path: Path) -> None:
    pinned = File("org/a", "main", "net.pt", "model.safetensors", "0" * 64)
    given = tmp_path / "net.pt"
    given.write_bytes(b"x")
    with pytest.raises(InvalidRequest, match="none of the pickles"):
        pull(Package("x", (pinned,)), settings, given=given)
    with pytest.raises(ModelNotFound, match="no file"):
        pull(Package("x", (pinned,)), settings, given=tmp_path / "gone.pt")


def test_offline_says_so_before_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("LIMNER_OFFLINE", "1")
    with pytest.raises(OfflineError, match="forbidden"):
        pull(ClipL14.package, Settings.load())


def test_a_folder_must_hold_all(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        opened(ClipB32.package, Settings.load(), tmp_path)
    assert "model.safetensors" in caught.value.message
    assert "vocab.json" in caught.value.hint


def test_a_network_is_shared_and_let_go_with_its_last_metric(tmp_path: Path) -> None:
    folder = scorers.clip(tmp_path)
    one, other = ClipB32(folder), ClipL14(folder)
    one.score(scorers.pictures(1), ["a fox"], ScoreCache(None))
    assert one.tower() is other.tower()
    gone = weakref.ref(one.tower().net)
    del one
    gc.collect()
    assert gone() is not None
    del other
    gc.collect()
    assert gone() is None


def test_the_number_format_is_part_of_a_scorer_that_asks() -> None:
    whole, half = VqaScore(device="cpu", dtype="float32"), VqaScore(device="cpu", dtype="bfloat16")
    assert whole.card.revision == VqaScore.card.revision
    assert half.card.revision == f"{VqaScore.card.revision}:bfloat16"
    assert (whole.card.memory_bytes or 0) > (half.card.memory_bytes or 0)


def test_commits_are_commits_and_pickles_become_safetensors() -> None:
    for package in (ClipB32.package, ClipL14.package, VqaScore.package):
        for file in package.files:
            assert len(file.commit) == 40 or file.sha256 is not None
            assert not file.pickled or file.saved.endswith(".safetensors")
