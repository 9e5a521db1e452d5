"""Licence restrictions: told once before the first use, again when they change, never waited for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limner.cli.drawing import Telling
from limner.cli.terms import TOLD, tell_once, terms
from limner.models.catalog import Catalog
from tests.faces.calling import limner_in

SDXL = Catalog.load().get("sdxl")
PEOPLE = Telling()


def test_once_for_each_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell_once(SDXL, tmp_path, PEOPLE)
    first = capsys.readouterr()
    assert first.out == ""
    for words in ("sdxl is under OpenRAIL++-M", "harmful uses", "https://huggingface.co/stabilityai"):
        assert words in first.err
    tell_once(SDXL, tmp_path, PEOPLE)
    assert capsys.readouterr().err == ""
    tell_once(Catalog.load().get("sd-turbo"), tmp_path, PEOPLE)
    assert "stability.ai/license" in capsys.readouterr().err
    tell_once(SDXL.model_copy(update={"restrictions": "not for sale"}), tmp_path, PEOPLE)
    assert "not for sale" in capsys.readouterr().err, "terms that changed are told again"


def test_quiet_leaves_it_for_the_next_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell_once(SDXL, tmp_path, Telling(quiet=True))
    assert capsys.readouterr() == ("", "")
    tell_once(SDXL, tmp_path, Telling(json=True))
    found = json.loads(capsys.readouterr().err)
    assert found["notice"]["code"] == "licence"
    tell_once(SDXL, tmp_path, PEOPLE)
    assert capsys.readouterr().err == ""


def test_what_cannot_be_remembered_is_told_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    for _ in range(2):
        tell_once(SDXL, tmp_path / "file", PEOPLE)
        assert "sdxl" in capsys.readouterr().err
    (tmp_path / TOLD).write_text("[not json", "utf-8")
    tell_once(SDXL, tmp_path, PEOPLE)
    assert "sdxl" in capsys.readouterr().err


def test_only_what_asks_for_something_is_told() -> None:
    for card in Catalog.load().cards:
        assert (terms(card) is None) is not (bool(card.restrictions) or bool(card.gated)), card.name


def test_the_first_drawing_tells_before_it_fetches(tmp_path: Path) -> None:
    limner = limner_in(tmp_path)
    refused = limner("a fox", "-m", "sdxl", "--offline")
    assert refused.exit_code == 3
    assert "OpenRAIL++-M" in refused.stderr
    assert "OpenRAIL++-M" not in limner("a fox", "-m", "sdxl", "--offline").stderr
    assert "licence" in limner("models", "show", "sdxl").stdout
