"""The command line for people who come from the web UI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner.library.metadata import read
from tests.faces.calling import Limner, assert_refused, limner_in, said

SMALL = ("--size", "32", "--steps", "2", "--seed", "3")


@pytest.fixture
def limner(tmp_path: Path) -> Limner:
    return limner_in(tmp_path / "home")


def foreign(path: Path, model: str = "pocket") -> Path:
    chunks = PngInfo()
    settings = f"Steps: 2, Sampler: Euler a, CFG scale: 5, Seed: 3, Size: 32x32, Model: {model}, ADetailer model: x"
    chunks.add_text("parameters", f"a fox\n{settings}, Version: v1.6.0")
    Image.fromarray(np.full((32, 32, 3), 120, "u1")).save(path, pnginfo=chunks)
    return path


def test_flags_reach_the_picture_and_its_text(limner: Limner, tmp_path: Path) -> None:
    out = tmp_path / "fox.png"
    flags = ("--compat", "a1111", "--noise-source", "cpu", "--ensd", "31337", "--clip-skip", "2", "--solver", "euler-a")
    result = limner("draw", "a fox", *SMALL, *flags, "--schedule", "exponential", "-o", str(out), "--no-keep")
    assert result.exit_code == 0, result.stderr
    found = read(out)
    assert found.record is not None
    request = found.record.request
    assert (request.compat, request.noise_source, request.noise_delta, request.clip_skip) == ("a1111", "cpu", 31337, 2)
    for words in ("Schedule type: Exponential", "Clip skip: 2", "ENSD: 31337", "Compat: a1111", "RNG: CPU"):
        assert words in found.raw["parameters"]


def test_a_foreign_picture_is_replayed_and_its_settings_told(limner: Limner, tmp_path: Path) -> None:
    path = foreign(tmp_path / "foreign.png")
    result = limner("replay", str(path))
    assert result.exit_code == 1, result.stderr
    assert result.stdout.startswith("different: ")
    assert "honoured: prompt, steps, guidance, seed, size, sampler" in result.stderr
    assert "not honoured: ADetailer model x" in result.stderr
    facts = limner("replay", str(path), "--json")
    fields = {each["name"]: each["fate"] for each in said_of(facts.stdout)}
    assert fields["ADetailer model"] == "not honoured"
    assert fields["seed"] == "honoured"


def said_of(text: str) -> list[dict[str, str]]:
    import json

    found: list[dict[str, str]] = json.loads(text)["fields"]
    return found


def test_a_foreign_pictures_model_can_be_replaced(limner: Limner, tmp_path: Path) -> None:
    path = foreign(tmp_path / "foreign.png", model="dreamshaper_8")
    assert_refused(limner("replay", str(path)), 3, "dreamshaper_8", "-m MODEL")
    assert "drawn with pocket, as asked" in limner("replay", str(path), "-m", "pocket").stderr


def test_a_model_for_a_picture_of_ours_is_refused(limner: Limner, tmp_path: Path) -> None:
    out = tmp_path / "own.png"
    assert limner("draw", "a fox", *SMALL, "-o", str(out), "--no-keep").exit_code == 0
    assert_refused(limner("replay", str(out), "-m", "pocket"), 2, "leave -m out")


def test_a_schedule_of_the_web_ui_needs_its_rules(limner: Limner) -> None:
    assert_refused(limner("draw", "a fox", *SMALL, "--schedule", "simple"), 2, "--compat a1111")


def test_lint_counts_chunks_by_its_rules(limner: Limner) -> None:
    words = ", ".join(["fox"] * 8 + ["snow house beach tree"] * 3)
    ours, theirs = (said(limner("lint", words, "--json", *more)) for more in ((), ("--compat", "a1111")))
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    assert ours["tokens"] == theirs["tokens"]
    assert theirs["chunks"] >= ours["chunks"]
