"""limner tune show: what it prints, writes and refuses, and how it goes on after Ctrl-C. The pictures are painted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from limner import registry
from limner.canonical import file_hash
from limner.refine import tuned_design, tuned_likeness
from limner.refine.compare_study import Scorers
from limner.refine.diversity import PIXELS
from limner.session import Session
from limner.types import Request
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.unit.refine.painting import Painter, paint, take_over
from tests.unit.refine.paired import CELLS, redness, register

pytest.importorskip("peft")
CAPTION = "a sks fox on the beach"
LAYER = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    register(monkeypatch, "redness", redness)
    monkeypatch.setitem(registry.BUILT_IN["metrics"], "cells", CELLS)
    monkeypatch.setattr(tuned_likeness, "TOWERS", ("cells",))
    usual = Scorers(judges=("redness",), alignment="redness", diversity=PIXELS)
    monkeypatch.setattr(tuned_design, "default_scorers", lambda session, world, device: usual)
    return take_over(monkeypatch)


@pytest.fixture
def limner_(own_home: Path, painter: Painter) -> Limner:
    own_home.mkdir()
    (own_home / "config.toml").write_text('[score]\ndefault = "none"\n[safety]\nmarks = "none"\n')
    return limner_in(own_home)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "foxes"
    folder.mkdir()
    for k in range(4):
        Image.fromarray(np.kron(paint("x", k, 1)[::6, ::6], np.ones((16, 16, 1), np.uint8))).save(folder / f"{k}.png")
    return folder


@pytest.fixture
def file(data: Path, painter: Painter, limner_: Limner, tmp_path: Path) -> Path:
    """As training writes it, of three pictures and one that was held out."""
    with Session(backend=painter, keep=False) as session:
        base = session.plan(Request.of(prompt="a fox", model="pocket"))[0].model.weights_hash()
    pictures = sorted(data.glob("*.png"))
    record: dict[str, Any] = {
        "version": "0",
        "base": {"name": "pocket", "hash": base},
        "called": "a sks fox",
        "class": "fox",
        "settings": {"size": 64, "subject": "sks fox", "style": None, "prior": 4, "rank": 2},
        "data": [{"hash": file_hash(path), "caption": CAPTION, "held_out": k == 3} for k, path in enumerate(pictures)],
        "run": {"steps": 1, "seconds": 1.0},
    }
    path = tmp_path / "fox.safetensors"
    write(path, record)
    return path


def write(path: Path, record: dict[str, Any]) -> None:
    """A LoRA of one layer of pocket's, that changes nothing."""
    factors = {f"{LAYER}.lora_down.weight": torch.zeros(1, 160), f"{LAYER}.lora_up.weight": torch.zeros(160, 1)}
    save_file(factors, path, {"limner.tune": json.dumps(record)})


def test_it_is_told_in_words_and_kept_with_all_its_pictures(
    limner_: Limner, file: Path, data: Path, tmp_path: Path
) -> None:
    folder, page = tmp_path / "shown", tmp_path / "page.html"
    args = ("tune", "show", str(file), "--data", str(data), "-n", "8", "--scene", "at night", "--other", "a red car")
    result = limner_(*args, "--out", str(folder), "--report", str(page))
    assert result.exit_code == 0, result.stderr
    assert "4 questions, before and after, 8 seeds" in result.stderr
    assert "64 pictures to draw" in result.stderr
    lines = result.stdout.splitlines()
    assert any(line.startswith("Not shown to be learnt (8 seeds). Lost: nothing shown. Kept ") for line in lines)
    assert any(line.startswith("Likeness of 'a sks fox on the beach' to the 1 picture held out: ") for line in lines)
    row = next(line for line in lines if line.startswith("'a sks fox at night'"))
    assert row.split()[5:7] == ["kept", "kept"]
    assert "likeness to the 1 picture held out" in result.stdout
    assert "each p is after Holm over them" in result.stdout
    assert sorted(path.name for path in folder.iterdir()) == [
        "grid.png",
        "pictures",
        "report.html",
        "shown.json",
        "study.json",
    ]
    pictures = sorted((folder / "pictures").iterdir())
    assert len(pictures) == 64
    assert pictures[0].name.startswith("1-a-sks-fox-on-the-beach-after-")
    assert said(limner_("inspect", str(pictures[0]), "--json"))["record"]["request"]["loras"]  # type: ignore[index]
    assert "at night" in page.read_text()
    kept = [Path(line) for line in lines if line.endswith("report.html")]
    assert kept
    assert all(path.is_file() for path in kept)


def test_json_has_everything_and_nothing_else(limner_: Limner, file: Path, data: Path, painter: Painter) -> None:
    args = ("tune", "show", str(file), "--data", str(data), "-n", "8", "--scene", "at night", "--other", "a red car")
    painter.stop_after = 20
    assert_refused(limner_(*args), 130, "20 of 64", "the same command goes on")
    painter.stop_after = None
    found = said(limner_(*args, "--json"))
    assert isinstance(found, dict)
    assert len(painter.painted) == 64
    assert found["called"] == "a sks fox"
    assert (found["rank"], found["alpha"], found["pictures"]) == (2, 2, 4)
    assert all(key.isidentifier() for key in found)
    assert [answer["what"] for answer in found["answers"]] == ["the subject", "a scene", "its class", "other things"]
    assert found["answers"][0]["verdict"]["hypotheses"] == 4
    assert found["answers"][1]["text"] == "a fox at night"
    assert Path(found["report"]).is_file()
    assert found["study"]["held_out"] == [file_hash(data / "3.png")]


def test_an_older_file_does_not_say_what_was_held_out(limner_: Limner, file: Path, data: Path) -> None:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        record = json.loads(opened.metadata()["limner.tune"])
    for each in record["data"]:
        del each["held_out"]
    write(file, record)
    args = ("--scene", "at night", "--other", "a red car", "-n", "8")
    result = limner_("tune", "show", str(file), "--data", str(data), *args)
    assert result.exit_code == 0, result.stderr
    assert "does not say which pictures were held out" in result.stderr
    assert "Indicative only: no picture was held out" in result.stdout


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("-n", "7"), 2, ("7 seeds", "at least 8")),
        (("--seed", "2", "-n", "9"), 2, ("seeds 0 to 3", "begin at 4")),
        (("--margin", "0"), 2, ("margin",)),
        (("--out", "nowhere/below"), 4, ("nowhere",)),
        (("--other", "a naked child"), 6, ("refused",)),
    ],
)
def test_refused_with_what_to_do_and_nothing_drawn(
    limner_: Limner, painter: Painter, file: Path, data: Path, args: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    refused = limner_("tune", "show", str(file), "--data", str(data), *args)
    assert refused.exit_code == code, refused.stderr
    assert all(word in refused.stderr for word in words), refused.stderr
    assert not painter.painted


@pytest.mark.parametrize("idle", ["--report", "--out", "--scene", "--other"])
def test_what_only_drawing_heeds_is_refused_without_the_pictures(limner_: Limner, file: Path, idle: str) -> None:
    assert_refused(limner_("tune", "show", str(file), idle, "x.html"), 2, f"{idle} needs --data")


def test_ctrl_c_while_it_scores_says_how_it_goes_on(
    limner_: Limner, file: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limner.cli import tune_telling

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tune_telling, "run", stopped)
    args = ("--data", str(data), "-n", "8", "--scene", "at night", "--other", "a red car")
    assert_refused(
        limner_("tune", "show", str(file), *args), 130, "0 of 64 pictures are kept", "the same command goes on"
    )
