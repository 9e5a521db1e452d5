"""replay, vary and morph around a picture that is there; lists and lint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.cli.strips import animation, strip
from limner.config import Settings
from limner.library.files import decode, encode
from limner.library.metadata import read
from limner.library.store import Library
from limner.prompts.styles import load_styles
from limner.sampling.catalog import SOLVERS
from tests.faces.calling import Limner, limner_in, said
from tests.faces.fake_drawing import FakeBackend, fake_drawing


@pytest.fixture
def limner(tmp_path: Path) -> Limner:
    return limner_in(tmp_path / "home")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    return fake_drawing(monkeypatch)


@pytest.fixture
def picture(limner: Limner, backend: FakeBackend) -> Path:
    return Path(limner("a red fox", "--seed", "7", "--quiet").stdout.strip())


def test_replay_of_an_untouched_picture(limner: Limner, picture: Path) -> None:
    by_path, by_id = limner("replay", str(picture)), limner("replay", picture.stem)
    assert by_path.stdout == by_id.stdout == "identical: the same pixels\n"
    assert by_path.exit_code == 0


def test_replay_of_a_picture_that_comes_out_differently(
    limner: Limner, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.faces.fake_drawing.pixels_of", lambda key: np.zeros((16, 32, 3), np.uint8))
    result = limner("replay", str(picture), "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["verdict"] == "different"
    assert found["mean"] > 8
    words = limner("replay", str(picture))
    assert words.stdout.startswith("different: ")
    assert "nothing recorded differs" in words.stderr


def test_last_and_the_one_before(limner: Limner, backend: FakeBackend, picture: Path) -> None:
    newer = Path(limner("a blue cat", "--seed", "8", "--quiet").stdout.strip())
    for name, path in (("last", newer), ("@1", newer), ("@2", picture)):
        shown = limner("inspect", name, "--json")
        assert json.loads(shown.stdout)["path"] == str(path), shown.stderr
    backend.plans.clear()
    assert limner("replay", "@2").stdout == limner("replay", "last").stdout == "identical: the same pixels\n"
    assert limner("vary", "last", "-n", "1", "--json").exit_code == 0
    made = json.loads(limner("vary", "@3", "-n", "1", "--json").stdout)
    assert [plan.prompt for plan in backend.plans] == ["a red fox", "a blue cat", "a blue cat", "a red fox"]
    assert made["parent"] == picture.stem
    assert all("@2" in limner(command, "--help").stdout for command in ("inspect", "replay", "vary"))


def test_replay_keeps_nothing_but_writes_where_it_is_told(limner: Limner, picture: Path, tmp_path: Path) -> None:
    assert limner("replay", str(picture), "-o", str(tmp_path / "again.png")).exit_code == 0
    assert (tmp_path / "again.png").is_file()
    assert Library(tmp_path / "home" / "library").count() == 1


def test_replay_where_the_device_of_then_is_not_here(limner: Limner, picture: Path, tmp_path: Path) -> None:
    found = read(picture).record
    assert found is not None
    numerics = found.numerics.model_copy(update={"device": "mps"})
    elsewhere = found.model_copy(update={"request": found.request.but(device="mps"), "numerics": numerics})
    (tmp_path / "mac.png").write_bytes(encode(decode(picture), elsewhere))
    result = limner("replay", str(tmp_path / "mac.png"))
    assert result.exit_code == 0, result.stderr
    assert "no device 'mps'; drawn on cpu instead" in result.stderr


def test_vary(limner: Limner, backend: FakeBackend, picture: Path) -> None:
    result = limner("vary", picture.stem, "-n", "3", "--amount", "0.2", "--seed", "50", "--json")
    made = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["seed"], one["variation_seed"], one["parent"]) for one in made] == [
        (7, 50 + k, picture.stem) for k in range(3)
    ]
    plan = backend.plans[-1]
    assert (plan.prompt, plan.recipe.variation) == ("a red fox", 0.2)


def test_vary_takes_braces_as_they_were_drawn(limner: Limner, backend: FakeBackend) -> None:
    first = limner("a {red|blue} fox", "--seed", "7", "--quiet").stdout.strip()
    assert limner("vary", first).exit_code == 0
    assert backend.plans[-1].prompt == backend.plans[0].prompt


def test_a_variation_of_a_variation_says_what_it_is(limner: Limner, backend: FakeBackend, picture: Path) -> None:
    first = limner("vary", picture.stem, "-n", "1", "--quiet").stdout.strip()
    result = limner("vary", first, "-n", "1")
    assert result.exit_code == 0
    assert "itself a variation" in result.stderr


def test_morph(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    result = limner(
        "morph", "a fox", "a cat", "--frames", "5", "--seed", "1", "--to-seed", "2", "-o", f"{tmp_path}/m.png"
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [str(tmp_path / "m.png"), str(tmp_path / "m.webp")]
    requests = [plan.request for plan in backend.plans]
    assert [(one.morph, one.variation) for one in requests] == [(t, t) for t in (0, 0.25, 0.5, 0.75, 1)]
    assert {(one.seed, one.variation_seed, one.prompt, one.morph_to) for one in requests} == {(1, 2, "a fox", "a cat")}
    with Image.open(tmp_path / "m.png") as shown:
        assert shown.size == (5 * 32, 16)
    assert Library(tmp_path / "home" / "library").count() == 5


def test_morph_writes_beside_the_library_where_nothing_is_said(
    limner: Limner, backend: FakeBackend, tmp_path: Path
) -> None:
    result = limner("morph", "a fox", "a cat", "--frames", "2", "--json")
    last = json.loads(result.stdout.splitlines()[-1])
    assert Path(last["strip"]).is_relative_to(tmp_path / "home" / "library" / "morphs")
    assert Path(last["animation"]).is_file()
    assert len(result.stdout.splitlines()) == 3


def test_strips_wrap_and_animations_go_there_and_back(tmp_path: Path) -> None:
    frames = [np.full((4, 3000, 3), k * 60, np.uint8) for k in range(4)]
    (tmp_path / "s.png").write_bytes(strip(frames))
    (tmp_path / "a.webp").write_bytes(animation([frame[:, :8] for frame in frames]))
    with Image.open(tmp_path / "s.png") as shown:
        assert shown.size == (6000, 8)
        assert shown.getpixel((3001, 5)) == (180, 180, 180)
        assert "trainedAlgorithmicMedia" in shown.text["XML:com.adobe.xmp"]  # type: ignore[attr-defined]
    with Image.open(tmp_path / "a.webp") as moving:
        assert moving.n_frames == 6  # type: ignore[attr-defined]


def test_solvers(limner: Limner) -> None:
    shown = limner("solvers").stdout
    assert all(name in shown for name in SOLVERS)
    assert "DPM++ 2M" in shown
    assert "arXiv 2211.01095" in shown
    lines = limner("solvers", "--json").stdout.splitlines()
    assert {json.loads(line)["name"] for line in lines} == set(SOLVERS)


def test_styles_are_imported_beside_ones_own(limner: Limner, tmp_path: Path) -> None:
    table = tmp_path / "styles.csv"
    table.write_text('name,prompt,negative_prompt\nmine,"{prompt}, soft",hard\nnew,"{prompt}, wet",\n')
    own = Settings.load(tmp_path / "home", {}).styles_file
    own.parent.mkdir()
    own.write_text('# my own\n[mine]\nprompt = "{prompt}, loud"\n')
    result = limner("styles", "import", str(table))
    assert result.exit_code == 0, result.stderr
    assert "1 style taken over" in result.stderr
    assert "mine" in result.stderr
    assert own.read_text().startswith("# my own\n")
    assert load_styles(own)["mine"].prompt == "{prompt}, loud"
    assert load_styles(own)["new"].prompt == "{prompt}, wet"
    assert limner("styles", "import", str(table), "--replace").exit_code == 0
    assert load_styles(own)["mine"].prompt == "{prompt}, soft"
    assert "new" in limner("styles").stdout


def test_lint(limner: Limner) -> None:
    result = limner("lint", "a moose in the snow")
    assert result.exit_code == 0
    assert "pocket does not know 'moose'" in result.stdout
    found = said(limner("lint", "--json", "a red fox in the snow at night"))
    assert isinstance(found, dict)
    assert found["main_noun"] == "fox"
    assert found["slots"]["place"] == ["snow"]
    assert found["unknown"] == []
