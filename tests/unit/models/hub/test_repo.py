"""Fetching from a hub that stands on this machine and fails to order."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.config import Settings
from limner.errors import (
    CorruptFile,
    MismatchedWeights,
    ModelNotFound,
    NetworkError,
    OfflineError,
    StorageError,
    UnsafeFile,
)
from limner.models.catalog import Card, Catalog
from limner.models.estimates.files import outline
from limner.models.hub import repo as hub
from limner.models.hub.cache import RepoName, cache_folder, cached, repo_name
from limner.models.links.lock import Lock
from limner.models.resolving.resolve import download_bytes, pinned, resolve
from tests.hub_server import HubServer
from tests.unit.models import tiny

CATALOG = Catalog.load()
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, tmp_path, tmp_path / "cache")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.add("org/tiny", tiny.files())
        yield running


def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")


def test_only_the_needed_files_are_fetched_and_at_one_commit(server: HubServer, settings: Settings) -> None:
    found = resolve("org/tiny", settings, CATALOG)
    assert found.ref.commit == server.repos["org/tiny"].commit
    assert sorted(server.fetched()) == sorted([*found.ref.files, "model_index.json"])
    assert all(found.ref.commit in path for method, path, _ in server.requests if method == "GET" and "resolve" in path)
    assert found.files.paths[UNET].read_bytes() == tiny.files()[UNET]


def test_a_second_run_fetches_nothing(server: HubServer, settings: Settings) -> None:
    first = resolve("org/tiny", settings, CATALOG)
    server.requests.clear()
    assert resolve("org/tiny", settings, CATALOG).ref == first.ref
    assert server.fetched() == []
    server.requests.clear()
    assert resolve(pinned(first.ref), settings, CATALOG).ref.files == first.ref.files
    assert resolve("org/tiny", settings, CATALOG, offline=True).ref == first.ref
    assert server.requests == []


def test_the_download_is_announced_and_reported(server: HubServer, settings: Settings) -> None:
    seen: list[hub.Progress] = []
    announced = download_bytes("org/tiny", settings, CATALOG)
    needed = resolve("org/tiny", settings, CATALOG, report=seen.append).ref.files
    assert announced == sum(len(data) for name, data in tiny.files().items() if name in needed)
    assert (seen[-1].done, seen[-1].total) == (announced, announced)
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert download_bytes("org/tiny", settings, CATALOG) == 0


def test_a_new_commit_is_noticed_and_only_what_changed_fetched(server: HubServer, settings: Settings) -> None:
    old = resolve("org/tiny", settings, CATALOG).ref
    server.add("org/tiny", {**tiny.files(), UNET: tiny.safetensors(50)})
    server.requests.clear()
    new = resolve("org/tiny", settings, CATALOG).ref
    assert new.commit != old.commit
    assert [name for name in server.fetched() if name.endswith(".safetensors")] == [UNET]
    assert resolve(pinned(old), settings, CATALOG).ref.files == old.files


def test_a_card_names_its_repo_and_keeps_its_name(server: HubServer, settings: Settings) -> None:
    catalog = Catalog.load([Card(name="mine", title="Mine", family="sd", repo="org/tiny", world="tests")])
    found = resolve("mine", settings, catalog)
    assert (found.ref.name, found.ref.repo, found.card.world) == ("mine", "org/tiny", "tests")
    assert resolve(pinned(found.ref), settings, catalog, offline=True).ref == found.ref


def test_a_transfer_that_is_cut_is_taken_up_again(server: HubServer, settings: Settings) -> None:
    server.faults.cut[UNET] = 100
    found = resolve("org/tiny", settings, CATALOG)
    assert server.fetched().count(UNET) == 2
    assert found.files.paths[UNET].read_bytes() == tiny.files()[UNET]


@pytest.mark.parametrize("name", [UNET, "unet/config.json", "model_index.json"])
def test_a_flipped_byte_is_found_before_use_and_leaves_nothing_behind(
    server: HubServer, settings: Settings, name: str
) -> None:
    server.faults.flip.add(name)
    with pytest.raises(CorruptFile, match="hashes differ") as caught:
        resolve("org/tiny", settings, CATALOG)
    assert "again" in caught.value.hint
    there = cached(RepoName("org/tiny", server.repos["org/tiny"].commit))
    assert there is not None
    assert name not in there.files()
    server.faults.flip.clear()
    assert resolve("org/tiny", settings, CATALOG).files.root == there.folder


def test_a_repo_of_pickles_is_refused_before_its_weights_are_fetched(server: HubServer, settings: Settings) -> None:
    content = tiny.files()
    content["unet/diffusion_pytorch_model.bin"] = content.pop(UNET)
    server.add("org/old", content)
    with pytest.raises(UnsafeFile):
        resolve("org/old", settings, CATALOG)
    assert server.fetched() == ["model_index.json"]


def test_a_repo_with_custom_code_is_refused_after_its_index(server: HubServer, settings: Settings) -> None:
    index = tiny.files()["model_index.json"].replace(b'["diffusers", "UNet2DConditionModel"]', b'["my_unet", "MyUNet"]')
    server.add("org/evil", {**tiny.files(), "model_index.json": index, "unet/my_unet.py": b"raise SystemExit"})
    with pytest.raises(UnsafeFile, match="custom code"):
        resolve("org/evil", settings, CATALOG)
    assert server.fetched() == ["model_index.json"]


@pytest.mark.parametrize("name", ["../../escape.safetensors", "unet/../../../escape.safetensors"])
def test_a_listing_cannot_write_outside_the_cache(
    server: HubServer, settings: Settings, tmp_path: Path, name: str
) -> None:
    server.add("org/evil", {**tiny.files(), name: b"x"})
    resolve("org/evil", settings, CATALOG)
    assert not list(tmp_path.rglob("escape*"))


@pytest.mark.parametrize(
    ("status", "code", "error", "says"),
    [
        (403, "GatedRepo", NetworkError, "gated"),
        (401, "GatedRepo", NetworkError, "gated"),
        (403, "", NetworkError, "403"),
        (500, "", NetworkError, "500"),
        (429, "", NetworkError, "429"),
        (404, "RepoNotFound", ModelNotFound, "no model 'org/closed'"),
    ],
)
def test_what_the_hub_answers_becomes_one_clear_error(
    server: HubServer,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    error: type[Exception],
    says: str,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)  # the library waits between retries
    server.add("org/closed", tiny.files(), status=status, error_code=code)
    with pytest.raises(error, match=says) as caught:
        resolve("org/closed", settings, CATALOG)
    assert isinstance(caught.value, NetworkError | ModelNotFound)
    assert caught.value.hint
    if status in (401, 403):
        assert "hf auth login" in caught.value.hint


def test_a_repo_or_revision_that_does_not_exist(server: HubServer, settings: Settings) -> None:
    with pytest.raises(ModelNotFound, match="no model 'org/nope'"):
        resolve("org/nope", settings, CATALOG)
    with pytest.raises(ModelNotFound, match="no revision 'v9'"):
        resolve("org/tiny@v9", settings, CATALOG)


def test_without_a_hub_a_cached_copy_is_used_and_said(
    server: HubServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = resolve("org/tiny", settings, CATALOG)
    unreachable(monkeypatch)
    again = resolve("org/tiny", settings, CATALOG)
    assert again.ref == first.ref
    assert [notice.code for notice in again.notices] == ["hub-unreachable"]
    with pytest.raises(NetworkError, match="could not be reached"):
        resolve("org/other", settings, CATALOG)


def test_the_librarys_own_offline_switch_becomes_our_error(
    server: HubServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OfflineError):
        resolve("org/tiny", settings, CATALOG)
    assert server.requests == []


def test_a_full_disk_is_said_before_anything_is_fetched(
    server: HubServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(StorageError, match="free"):
        resolve("org/tiny", settings, CATALOG)
    assert server.fetched() == []


def test_a_disk_that_fills_up_on_the_way(
    server: HubServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    import huggingface_hub.file_download

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub.file_download, "http_get", full)
    with pytest.raises(StorageError, match="disk is full"):
        resolve("org/tiny", settings, CATALOG)


def test_a_cache_that_cannot_be_written(
    server: HubServer, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(StorageError, match="cannot be written"):
        resolve("org/tiny", settings, CATALOG)


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({"HF_HUB_CACHE": "/a/b"}, "/a/b"),
        ({"HF_HOME": "/a"}, "/a/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
    ],
)
def test_the_cache_is_where_the_hubs_library_has_it(env: dict[str, str], folder: str) -> None:
    assert cache_folder(env) == Path(folder)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("org/name", RepoName("org/name")),
        ("org/name@v1.0", RepoName("org/name", "v1.0")),
        ("org/name@refs/pr/1", RepoName("org/name", "refs/pr/1")),
        ("name", None),
        ("org/name@", None),
        ("org/name@../x", None),
        ("org/na--me", None),
        ("../name", None),
        ("org/..", None),
        ("org/name/more", None),
    ],
)
def test_repo_names(text: str, found: RepoName | None) -> None:
    assert repo_name(text) == found


def test_a_commit_is_a_pinned_revision() -> None:
    assert RepoName("org/name", "a" * 40).pinned
    assert not RepoName("org/name").pinned


def with_variants(server: HubServer) -> None:
    halves = {
        name.replace(".safetensors", ".fp16.safetensors"): tiny.safetensors(60 + k, 8)
        for k, name in enumerate(tiny.files())
        if name.endswith("model.safetensors")
    }
    server.add("org/tiny", {**tiny.files(), **halves})


def variant_card(server: HubServer) -> Catalog:
    commit = server.repos["org/tiny"].commit
    card = Card(name="half", title="Half", family="sd", repo="org/tiny", commit=commit, variant="fp16", world="tests")
    return Catalog.load([card])


def test_a_card_chooses_the_variant_that_is_fetched(server: HubServer, settings: Settings) -> None:
    with_variants(server)
    catalog = variant_card(server)
    announced = download_bytes("half", settings, catalog)
    found = resolve("half", settings, catalog)
    weights = [name for name in server.fetched() if name.endswith(".safetensors")]
    assert len(weights) == 3
    assert all(name.endswith(".fp16.safetensors") for name in weights)
    assert announced < download_bytes("org/tiny", settings, catalog)
    assert found.notices == ()
    server.requests.clear()
    assert resolve("half", settings, catalog).ref == found.ref
    assert resolve("half", settings, catalog, offline=True).ref == found.ref
    assert server.requests == []
    full = resolve("org/tiny", settings, catalog).ref
    assert not any(".fp16." in name for name in full.files)


def test_full_weights_that_are_here_do_for_a_card_that_prefers_half(server: HubServer, settings: Settings) -> None:
    with_variants(server)
    full = resolve("org/tiny", settings, CATALOG).ref
    server.requests.clear()
    assert resolve("half", settings, variant_card(server)).ref.files == full.files
    assert server.requests == []


def moved(server: HubServer) -> tuple[Catalog, str]:
    """A catalog whose card names another commit than the one that was fetched by the repo's name."""
    old = server.repos["org/tiny"].commit
    new = server.add("org/tiny", {**tiny.files(), "unet/config.json": b'{"sample_size": 16}'}).commit
    card = Card(name="pinned", title="Pinned", family="sd", repo="org/tiny", commit=new, world="tests")
    return Catalog.load([card]), old


def test_what_another_commit_has_is_not_fetched_again(server: HubServer, settings: Settings) -> None:
    resolve("org/tiny", settings, CATALOG)
    catalog, _old = moved(server)
    assert download_bytes("pinned", settings, catalog) == len(b'{"sample_size": 16}')
    server.requests.clear()
    found = resolve("pinned", settings, catalog)
    assert found.ref.commit == server.repos["org/tiny"].commit
    assert [name for name in server.fetched() if name.endswith(".safetensors")] == []


def test_offline_another_commit_than_the_cards_is_used_and_said(server: HubServer, settings: Settings) -> None:
    resolve("org/tiny", settings, CATALOG)
    catalog, old = moved(server)
    found = resolve("pinned", settings, catalog, offline=True)
    assert found.ref.commit == old
    assert [notice.code for notice in found.notices] == ["other-commit"]
    with pytest.raises(OfflineError):
        resolve(f"pinned@{'0' * 40}", settings, catalog, offline=True)


def test_a_lock_decides_which_commit_is_fetched(server: HubServer, settings: Settings) -> None:
    old = resolve("org/tiny", settings, CATALOG).ref
    Lock((old,)).write(settings.home / "limner.lock")
    server.add("org/tiny", {**tiny.files(), UNET: tiny.safetensors(50)})
    server.requests.clear()
    assert download_bytes("org/tiny", settings, CATALOG) == 0
    assert resolve("org/tiny", settings, CATALOG).ref.files == old.files
    assert server.fetched() == []
    with pytest.raises(MismatchedWeights, match=r"limner\.lock"):
        resolve("org/tiny@main", settings, CATALOG)
    outlined = outline("org/tiny", settings, CATALOG).resolved.ref
    assert outlined.commit == old.commit
