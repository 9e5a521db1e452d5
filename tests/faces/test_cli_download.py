"""Downloads are seen: a model's files come before planning, announced with their size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.cli.downloading import fetch
from limner.cli.drawing import Telling
from limner.errors import ModelNotFound, OfflineError
from limner.image import Image
from limner.session import Session
from tests.hub_server import HubServer
from tests.unit.models import tiny


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.add("org/tiny", tiny.files())
        yield running


def test_a_download_says_its_size_once(server: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    with Session() as session:
        fetch(session, "org/tiny", Telling())
        said = capsys.readouterr()
        fetch(session, "org/tiny", Telling())
    assert said.out == ""
    assert said.err.startswith("downloading org/tiny: ")
    assert len(said.err.splitlines()) == 1
    assert server.fetched()
    assert capsys.readouterr().err == ""  # it is here now


def test_quiet_and_json_are_silent(server: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    with Session() as session:
        fetch(session, "org/tiny", Telling(json=True))
    assert capsys.readouterr().err == ""


def test_offline_touches_nothing(server: HubServer) -> None:
    with Session(offline=True) as session, pytest.raises(OfflineError):
        fetch(session, "org/tiny", Telling())
    assert server.requests == []


def test_the_built_in_model_asks_nobody(server: HubServer) -> None:
    with Session() as session:
        fetch(session, None, Telling())
    assert server.requests == []


def test_a_strangers_picture_fetches_nothing(server: HubServer, tmp_path: Path) -> None:
    """A Record names any repo; whoever replays the picture is asked first."""
    with Session() as session:
        mine = session.draw("a red fox", seed=1, steps=1, width=32, height=32)
        ref = mine.record.model.model_copy(update={"name": "org/tiny", "repo": "org/tiny", "commit": "0" * 40})
        record = mine.record.model_copy(update={"model": ref})
        Image(mine.pixels, record).save(tmp_path / "stranger.png")
        with pytest.raises(ModelNotFound, match="org/tiny") as caught:
            session.replay(tmp_path / "stranger.png")
    assert "limner models pull org/tiny" in caught.value.hint
    assert server.requests == []
