"""A model as far as planning needs it, before its weights are here: DALL-E mini's two repos, and a hub that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.config import Settings
from limner.errors import NetworkError, OfflineError
from limner.models import machine
from limner.models.catalog import Card, Catalog
from limner.models.estimates.files import outline
from limner.models.resolving.resolve import download_bytes, resolve
from limner.prompts.expand import Wildcards
from limner.session.estimating import foreseen
from limner.session.planning import Means
from limner.types import Request
from tests.dalle import FIXTURES
from tests.hub_server import HubServer


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
            running.add(f"org/{folder}", {path.name: path.read_bytes() for path in (FIXTURES / folder).iterdir()})
        yield running


@pytest.fixture
def catalog(server: HubServer) -> Catalog:
    companion = f"org/vqgan@{server.repos['org/vqgan'].commit}"
    return Catalog([Card(name="tiny-dalle", title="T", family="dalle-mini", repo="org/model", companion=companion)])


def test_two_repos_are_one_outline(server: HubServer, settings: Settings, catalog: Catalog) -> None:
    announced = download_bytes("tiny-dalle", settings, catalog)
    found = outline("tiny-dalle", settings, catalog)
    assert not [name for name in server.fetched() if name.endswith(".msgpack")]
    assert set(found.sizes) == {"model/flax_model.msgpack", "vqgan/flax_model.msgpack"}
    assert found.to_fetch == sum(found.sizes.values()) < announced
    assert found.resolved.ref == resolve("tiny-dalle", settings, catalog).ref
    assert outline("tiny-dalle", settings, catalog).to_fetch == 0


def test_its_networks_are_counted(server: HubServer, settings: Settings, catalog: Catalog, tmp_path: Path) -> None:
    means = Means(settings, catalog, machine.probe(), {}, Wildcards(tmp_path), offline=False)
    (plan,) = foreseen(Request(prompt="a red fox", model="tiny-dalle", seed=1), means)
    assert [part.name for part in plan.estimate.parts] == ["dalle", "vqgan"]
    assert plan.estimate.peak_bytes is not None
    assert plan.estimate.download_bytes > 0


def test_offline_it_must_be_here(server: HubServer, settings: Settings, catalog: Catalog) -> None:
    with pytest.raises(OfflineError):
        outline("tiny-dalle", settings, catalog, offline=True)
    assert server.requests == []
    resolve("tiny-dalle", settings, catalog)
    server.requests.clear()
    assert outline("tiny-dalle", settings, catalog, offline=True).to_fetch == 0
    assert server.requests == []


def test_a_hub_that_is_gone(
    server: HubServer, settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = server.url
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NetworkError):
        outline("tiny-dalle", settings, catalog)
    monkeypatch.setenv("HF_ENDPOINT", good)
    resolve("tiny-dalle", settings, catalog)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert outline("tiny-dalle", settings, catalog).to_fetch == 0
