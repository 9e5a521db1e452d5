"""What is on this machine: checked again, taken out, removed; never more than that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.errors import ModelNotFound, StorageError
from limner.models import holdings
from limner.models.hashes import Hashes
from limner.models.hub import repo as hub
from limner.models.hub.cache import RepoName, cached, repo_folder
from tests.hub_server import HubServer
from tests.unit.models import tiny

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def hashes(tmp_path: Path) -> Hashes:
    return Hashes(tmp_path / "cache")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def fetched(server: HubServer, hashes: Hashes, repo: str = "org/tiny", seed: int = 0) -> dict[str, Path]:
    server.add(repo, tiny.files(seed))
    listing = hub.look_up(RepoName(repo))
    found = hub.fetch(listing, listing.files, hashes)
    hub.remember_revision(listing)
    return found


def states(files: dict[str, Path], hashes: Hashes) -> dict[str, str]:
    return {each.name: each.state for each in holdings.check_files(files, hashes)}


def test_what_was_fetched_is_intact_and_a_rotten_byte_is_found(server: HubServer, hashes: Hashes) -> None:
    files = fetched(server, hashes)
    begun: list[tuple[str, int]] = []
    found = list(holdings.check_files(files, hashes, lambda name, size: begun.append((name, size))))
    assert {each.state for each in found} == {"intact"}
    assert dict(begun)[UNET] == len(tiny.files()[UNET])
    blob = files[UNET].resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    assert [name for name, state in states(files, hashes).items() if state == "damaged"] == [UNET]


def test_bit_rot_that_leaves_size_and_times_alone_is_found(server: HubServer, hashes: Hashes) -> None:
    files = fetched(server, hashes)
    known = hashes.of([files[UNET]])[files[UNET]]
    blob = files[UNET].resolve()
    hashes._remember({str(blob): (f"{blob.stat().st_size}:1:1", known)})  # as if nothing had changed since
    blob.write_bytes(b"x" * blob.stat().st_size)
    assert states(files, hashes)[UNET] == "damaged"


def test_a_damaged_file_is_taken_out_and_fetched_again(server: HubServer, hashes: Hashes) -> None:
    files = fetched(server, hashes)
    files[UNET].resolve().write_bytes(b"rotten")
    for each in holdings.check_files(files, hashes):
        if each.state == "damaged":
            holdings.take_out(each)
    there = cached(RepoName("org/tiny"))
    assert there is not None
    assert UNET not in there.files()
    assert set(states(fetched(server, hashes), hashes).values()) == {"intact"}


def test_a_folder_is_compared_with_its_last_use(tmp_path: Path, hashes: Hashes) -> None:
    folder = tiny.write(tmp_path / "mine", tiny.files())
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.safetensors")}
    assert states(files, hashes)[UNET] == "well-formed"
    assert states(files, hashes)[UNET] == "intact"
    files[UNET].write_bytes(tiny.safetensors(99))
    assert states(files, hashes)[UNET] == "changed"
    files[UNET].write_bytes(files[UNET].read_bytes()[:-7])
    found = [each for each in holdings.check_files(files, hashes) if each.name == UNET]
    assert found[0].state == "damaged"
    assert found[0].detail


def test_files_outside_the_cache_are_never_taken_out(tmp_path: Path, hashes: Hashes) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"broken")
    found = next(holdings.check_files({"mine": path}, hashes))
    assert found.state == "damaged"
    with pytest.raises(StorageError, match="not in the hub's cache"):
        holdings.take_out(found)
    assert path.exists()


def test_removing_a_repo_frees_what_it_says(server: HubServer, hashes: Hashes, tmp_path: Path) -> None:
    fetched(server, hashes, "org/other", seed=7)
    files = fetched(server, hashes)
    before = disk(tmp_path / "hub")
    what = holdings.removal("org/tiny")
    holdings.remove(what)
    assert before - disk(tmp_path / "hub") == what.freed
    assert what.freed >= sum(len(data) for data in tiny.files().values())
    assert not any(path.exists() for path in files.values())
    assert cached(RepoName("org/other")) is not None
    with pytest.raises(ModelNotFound):
        holdings.removal("org/tiny")


def disk(folder: Path) -> int:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(path.stat().st_size for path in files)


def test_removing_one_commit_keeps_what_another_uses(server: HubServer, hashes: Hashes, tmp_path: Path) -> None:
    fetched(server, hashes)
    old = server.repos["org/tiny"].commit
    server.add("org/tiny", {**tiny.files(), UNET: tiny.safetensors(50)})
    listing = hub.look_up(RepoName("org/tiny"))
    new = hub.fetch(listing, listing.files, hashes)
    what = holdings.removal("org/tiny", old)
    before = disk(tmp_path / "hub")
    holdings.remove(what)
    assert before - disk(tmp_path / "hub") >= what.freed == len(tiny.files()[UNET])
    assert set(states(new, hashes).values()) == {"intact"}
    assert cached(RepoName("org/tiny", old)) is None


@pytest.mark.parametrize("commit", ["..", "main", "0" * 40, "../../.."])
def test_only_commits_that_are_there_are_removed(server: HubServer, hashes: Hashes, commit: str) -> None:
    fetched(server, hashes)
    with pytest.raises(ModelNotFound):
        holdings.removal("org/tiny", commit)


def test_nothing_outside_the_cache_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "hub").mkdir()
    for place in (tmp_path / "precious", tmp_path / "hub"):
        place.mkdir(exist_ok=True)
        with pytest.raises(StorageError):
            holdings.remove(holdings.Removal("a/b", None, (place,), 0))
        assert place.exists()


def test_cut_downloads_and_repos_are_seen(server: HubServer, hashes: Hashes) -> None:
    fetched(server, hashes)
    (repo_folder("org/tiny") / "blobs" / ("a" * 64 + ".incomplete")).write_bytes(b"12345")
    assert list(holdings.parts("org/tiny").values()) == [5]
    assert holdings.repos() == ("org/tiny",)
