"""limner compare: what it prints, writes, refuses, and how it goes on after Ctrl-C."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import limner
import limner.session
from limner.cli import compare_show
from limner.refine import diversity
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.unit.refine.painting import Painter, take_over
from tests.unit.refine.paired import blueness, redness, register

TWO = ("--prompt", "a fox", "--prompt", "a red red fox", "--judge", "redness", "-n", "8")


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    register(monkeypatch, "redness", redness)
    register(monkeypatch, "blueness", blueness)
    # The Painter's fields of colour are nothing to the pocket scorers.
    monkeypatch.setattr(diversity, "measure_of", lambda session, scorers: diversity.PIXELS)
    return take_over(monkeypatch)


@pytest.fixture
def limner_(own_home: Path, painter: Painter) -> Limner:
    own_home.mkdir()
    (own_home / "config.toml").write_text('[score]\ndefault = "none"\n')
    return limner_in(own_home)


def test_a_verdict_in_words_with_its_grid(limner_: Limner) -> None:
    result = limner_("compare", *TWO)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("B is better than A by redness +0.23")
    assert "p = 0.0078 over 8 seeds; alignment and diversity are kept" in lines[0]
    assert "  prompt: a fox -> a red red fox" in lines
    assert "gain (95% interval)" in result.stdout
    with Image.open(next(line for line in lines if line.endswith("grid.png"))) as grid:
        assert grid.format == "PNG"
        assert grid.width > grid.height
    assert "16 pictures to draw" in result.stderr


def test_json_has_everything_and_nothing_else(limner_: Limner) -> None:
    found = said(limner_("compare", *TWO, "--json"))
    assert isinstance(found, dict)
    (verdict,) = found["verdicts"]
    assert verdict["outcome"] == "better"
    assert verdict["tests"][0]["scorer"]["revision"] == "1"
    assert verdict["differing"] == [{"field": "prompt", "a": "a fox", "b": "a red red fox"}]
    assert found["study"]["scorers"]["judges"] == ["redness"]
    assert found["versus"][0]["won"]["rate"] == 1
    assert Path(found["grid"]).is_file()


def test_axes_are_a_table_under_one_alpha(limner_: Limner, tmp_path: Path) -> None:
    target = tmp_path / "grid.png"
    axes = ("--axis", "guidance=1,60", "--axis", "steps=2,3")
    result = limner_("compare", "--prompt", "a fox", *axes, "--judge", "redness", "-n", "8", "-o", str(target))
    assert result.exit_code == 0, result.stderr
    rows = [line.split("  ") for line in result.stdout.splitlines() if line.startswith("guidance")]
    assert [row[0] for row in rows] == ["guidance 1, steps 3", "guidance 60, steps 2", "guidance 60, steps 3"]
    assert "p (Holm)" in result.stdout
    assert "best" not in result.stdout  # of more than two sides no case is picked
    assert target.is_file()


def test_ctrl_c_keeps_what_is_drawn_and_the_same_command_goes_on(limner_: Limner, painter: Painter) -> None:
    painter.stop_after = 5
    assert_refused(limner_("compare", *TWO), 130, "5 of 16", "the same command goes on")
    painter.stop_after = None
    result = limner_("compare", *TWO)
    assert result.exit_code == 0, result.stderr
    assert "11 pictures to draw" in result.stderr
    assert "5 pictures there already" in result.stderr
    assert len(painter.painted) == len(set(painter.painted)) == 16


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), ("nothing to compare", "--prompt")),
        (("--prompt", "a fox"), ("only one side", "--axis")),
        (("--prompt", "a fox", "--prompt", "a fox"), ("twice",)),
        ((*TWO, "-n", "5"), ("5 seeds", "at least 7")),
        (("--prompt", "a fox", "--axis", "steps=20,"), ("very same pictures",)),
        (("--prompt", "a fox", "--axis", "stepz=1,2"), ("stepz", "steps")),
        ((*TWO, "--judge", "rednes"), ("rednes", "redness")),
        ((*TWO, "-o", "grid.jpg"), ("PNG", ".png")),
        ((*TWO, "--csv", "nowhere/x.csv"), ("nowhere",)),
        ((*TWO, "--margin", "0"), ("margin",)),
        (("--prompts", "missing.txt", "--axis", "steps=1,2"), ("missing.txt",)),
        (("--prompts", "x.txt", "--prompt", "a fox"), ("both",)),
        (("--prompt", "a fox", "--axis", "steps=1,2,3", "--blind", "x"), ("two sides", "there are 3")),
        (("a", "fox"), ("what is 'a' for",)),
        (("--votes",), ("raters",)),
        ((*TWO, "-m", "poket"), ("poket", "pocket")),
    ],
)
def test_refused_with_what_to_do_and_nothing_drawn(
    limner_: Limner, painter: Painter, args: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_refused(limner_("compare", *args), limner_("compare", *args).exit_code or 99, *words)
    assert not painter.painted


def prompts(folder: Path, count: int = 8) -> Path:
    path = folder / "prompts.csv"
    rows = [f"a {word} thing,{'odd' if k % 2 else 'even'}" for k, word in enumerate(["red", *"abcdefghij"[1:count]])]
    path.write_text("\n".join(["prompt,Category", *rows]))
    return path


def test_prompts_from_a_file_by_category_with_a_csv(limner_: Limner, tmp_path: Path) -> None:
    table = tmp_path / "out.csv"
    result = limner_(
        *("compare", "--prompts", str(prompts(tmp_path)), "--axis", "guidance=1,50"),
        *("--judge", "redness", "-n", "2", "--csv", str(table)),
    )
    assert result.exit_code == 0, result.stderr
    assert "over 8 prompts" in result.stdout
    assert "guidance 50 wins 100%" in result.stdout
    assert "by prompt) against guidance 1" in result.stdout
    assert [line.split()[:1] for line in result.stdout.splitlines() if line[:4] in ("even", "odd ")]
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == 32
    assert {row["category"] for row in rows} == {"even", "odd"}
    assert {row["licence"] for row in rows} == {"Apache-2.0"}
    assert all(float(row["redness"]) > 0 and float(row["seconds"]) == 0.5 for row in rows)


def test_too_few_prompts(limner_: Limner, painter: Painter, tmp_path: Path) -> None:
    args = ("--prompts", str(prompts(tmp_path, 5)), "--axis", "guidance=1,50", "--judge", "redness")
    assert_refused(limner_("compare", *args), 2, "5 prompts", "at least 7")
    assert not painter.painted


def test_ctrl_c_while_it_scores_says_how_it_goes_on(limner_: Limner, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compare_show, "run", stopped)
    assert_refused(limner_("compare", *TWO), 130, "0 of 16 pictures are kept", "the same command goes on")


def test_blind_votes_there_and_back(limner_: Limner, own_home: Path, tmp_path: Path) -> None:
    result = limner_("compare", *TWO, "--blind", str(tmp_path / "vote"))
    assert result.exit_code == 0, result.stderr
    assert str(tmp_path / "vote" / "vote.html") in result.stdout.splitlines()
    (key,) = (own_home / "library" / "comparisons").glob("*/ballot.json")
    ballot = json.loads(key.read_text())
    files = []
    for rater in ("ann", "bob"):
        votes = [{"item": item["item"], "choice": item["b"], "left": item["b"]} for item in ballot["items"]]
        files.append(tmp_path / f"{rater}.json")
        files[-1].write_text(json.dumps({"format": 1, "ballot": ballot["ballot"], "rater": rater, "votes": votes}))
    counted = limner_("compare", "--votes", *map(str, files))
    assert counted.exit_code == 0, counted.stderr
    assert "ann, bob" in counted.stdout
    assert "not defined" in counted.stdout  # all answers are alike
    assert "raters lean to one side" in counted.stdout
    assert "B is better than A" in counted.stdout
    whole = said(limner_("compare", "--votes", *map(str, files), "--json"))
    assert isinstance(whole, dict)
    assert whole["verdict"]["outcome"] == "better"
    assert [test["scorer"]["name"] for test in whole["verdict"]["tests"][:2]] == ["redness", "votes"]


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    """Another model: the built-in one with one number of its weights changed, and without a card."""
    folder = tmp_path / "twin"
    shutil.copytree(Path(limner.__file__).parent / "assets" / "pocket", folder)
    weights = next((folder / "unet").glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-4:] = bytes(4)
    weights.write_bytes(data)
    return folder


def test_two_models_over_prompts_with_what_they_cost(
    limner_: Limner, painter: Painter, twin: Path, tmp_path: Path
) -> None:
    args = ("compare", "--prompts", str(prompts(tmp_path, 7)), "-m", "pocket", "-m", str(twin), "--judge", "redness")
    result = limner_(*args, "-n", "2", "--steps", "3")
    assert result.exit_code == 0, result.stderr
    assert "all models draw with pocket's settings: steps 3" in result.stderr
    assert "  model: pocket -> /" in result.stdout
    assert "over 7 prompts" in result.stdout
    rows = [line.split("  ") for line in result.stdout.splitlines() if line.startswith(("pocket  ", str(twin)))]
    assert any("Apache-2.0" in row for row in rows)
    assert any("not known" in row for row in rows)
    models = [plan.model.name for plan in painter.plans]
    assert models == sorted(models, key=models.index)  # each is loaded once


def test_own_settings_are_each_models_own(limner_: Limner, twin: Path, tmp_path: Path) -> None:
    args = ("compare", "--prompts", str(prompts(tmp_path, 7)), "-m", "pocket", "-m", str(twin), "--judge", "redness")
    result = limner_(*args, "-n", "1", "--own-settings", "--json")
    assert result.exit_code == 0, result.stderr
    (verdict,) = json.loads(result.stdout)["verdicts"]
    fields = {each["field"]: (each["a"], each["b"]) for each in verdict["differing"]}
    assert fields["model"] == ("pocket", str(twin))
    assert "all models draw" not in result.stderr
    assert verdict["strength"] == "indicative"  # one seed a prompt has no diversity


def test_one_prompt_on_two_models_speaks_of_that_prompt_only(limner_: Limner, twin: Path) -> None:
    result = limner_(
        "compare", "--prompt", "a red fox", "-m", "pocket", "-m", str(twin), "--judge", "redness", "-n", "7"
    )
    assert result.exit_code == 0, result.stderr
    assert "over 7 seeds" in result.stdout
    assert "of other words it says nothing" in result.stderr
