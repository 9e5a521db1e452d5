"""DALL-E mini from a hub: two repos make one model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.config import Settings
from limner.errors import LimnerError, ModelNotFound, OfflineError
from limner.models.catalog import Card, Catalog
from limner.models.resolving.resolve import download_bytes, pinned, resolve
from tests.dalle import FIXTURES
from tests.hub_server import HubServer

NEEDED = {
    *("model/config.json", "model/flax_model.msgpack", "model/tokenizer.json", "model/enwiki-words-frequency.txt"),
    *("vqgan/config.json", "vqgan/flax_model.msgpack"),
}


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
        for folder in ("model", "vqgan"):
            files = {path.name: path.read_bytes() for path in (FIXTURES / folder).iterdir()}
            running.add(f"org/{folder}", files | {"README.md": b"not needed"})
        yield running


@pytest.fixture
def catalog(server: HubServer) -> Catalog:
    companion = f"org/vqgan@{server.repos['org/vqgan'].commit}"
    return Catalog([Card(name="tiny-dalle", title="T", family="dalle-mini", repo="org/model", companion=companion)])


def test_the_needed_files_of_both_are_fetched(server: HubServer, settings: Settings, catalog: Catalog) -> None:
    announced = download_bytes("tiny-dalle", settings, catalog)
    found = resolve("tiny-dalle", settings, catalog)
    assert set(found.files.paths) == set(found.ref.files) == NEEDED
    assert found.ref.commit == server.repos["org/model"].commit
    assert announced == sum(path.stat().st_size for path in found.files.paths.values())
    assert "README.md" not in server.fetched()
    assert download_bytes("tiny-dalle", settings, catalog) == 0


def test_once_here_no_network_is_needed(server: HubServer, settings: Settings, catalog: Catalog) -> None:
    with pytest.raises(OfflineError, match="tiny-dalle"):
        resolve("tiny-dalle", settings, catalog, offline=True)
    first = resolve("tiny-dalle", settings, catalog)
    server.requests.clear()
    assert resolve("tiny-dalle", settings, catalog, offline=True).ref == first.ref
    assert resolve(pinned(first.ref), settings, catalog).ref.files == first.ref.files
    assert server.requests == []


def test_a_hub_that_is_gone_leaves_the_copy(
    server: HubServer, settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = resolve("tiny-dalle", settings, catalog)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = resolve("tiny-dalle", settings, catalog)
    assert again.ref == first.ref
    assert [notice.code for notice in again.notices] == ["hub-unreachable"]


def test_a_changed_file_is_thrown_out(settings: Settings, catalog: Catalog) -> None:
    path = resolve("tiny-dalle", settings, catalog).files.paths["vqgan/flax_model.msgpack"]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.resolve().write_bytes(bytes(data))
    with pytest.raises(LimnerError, match="hashes differ"):
        resolve("tiny-dalle", settings, catalog, offline=True)


def test_a_repo_without_the_weights(server: HubServer, settings: Settings, catalog: Catalog) -> None:
    del server.repos["org/model"].files["flax_model.msgpack"]
    with pytest.raises(ModelNotFound, match="org/model"):
        resolve("tiny-dalle", settings, catalog)
