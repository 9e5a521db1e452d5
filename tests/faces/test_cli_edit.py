"""Drawing over pictures from the command line, and enlarging them: what is told, kept, drawn again and refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.cli.options import EDITING, FLAGS
from limner.library.files import decode
from limner.library.metadata import read
from tests import upscalers
from tests.faces.calling import Limner, assert_refused, limner_in

SMALL = ("--size", "32", "--steps", "2", "--seed", "3")


@pytest.fixture
def limner(tmp_path: Path) -> Limner:
    return limner_in(tmp_path / "home")


@pytest.fixture
def start(tmp_path: Path) -> Path:
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    Image.fromarray(np.stack([np.tile(ramp, (32, 1))] * 3, axis=-1)).save(tmp_path / "start.png")
    return tmp_path / "start.png"


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    white = np.zeros((32, 32), np.uint8)
    white[8:24, 8:24] = 255
    Image.fromarray(white).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def drawn(limner: Limner, *args: str) -> Path:
    result = limner(*args)
    assert result.exit_code == 0, result.stderr
    return Path(result.stdout.splitlines()[-1])


def test_over_a_picture_and_again(limner: Limner, start: Path) -> None:
    result = limner("a red fox", "--init", str(start), "--strength", "0.5", *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "1 of 2 steps are run" in result.stderr
    assert "warning: strength" not in result.stderr
    start.unlink()  # the library kept its own
    assert limner("replay", "last").stdout == "identical: the same pixels\n"
    shown = limner("gallery", "show", "last").stdout
    assert "start picture" in shown
    assert "0.5 (1 step run)" in shown


def test_over_a_picture_of_the_library(limner: Limner) -> None:
    first = drawn(limner, "a red fox", *SMALL)
    for name in ("last", first.stem, str(first)):
        found = read(drawn(limner, "a blue fox", "--init", name, "--strength", "0.5", *SMALL)).record
        assert found is not None
    assert_refused(limner("a fox", "--init", "@99"), 7, "no picture '@99'")


def test_in_a_mask(limner: Limner, start: Path, mask: Path) -> None:
    path = drawn(limner, "a red fox", "--init", str(start), "--mask", str(mask), "--mask-blur", "0", *SMALL)
    kept = np.asarray(Image.open(mask)) == 0
    assert (decode(path)[kept] == decode(start)[kept]).all()
    record = read(path).record
    assert record is not None
    assert record.request.mask_blur == 0
    assert not record.request.mask_invert
    inside = drawn(limner, "a red fox", "--init", str(start), "--mask", str(mask), "--inpaint-padding", "2", *SMALL)
    assert decode(inside).shape == (32, 32, 3)


def test_nothing_is_kept_that_was_not_to_be(limner: Limner, start: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    drawn(limner, "a red fox", "--init", str(start), "--no-keep", "-o", str(target), *SMALL)
    assert decode(target).shape == (32, 32, 3)
    assert not (tmp_path / "home" / "library").exists() or not list((tmp_path / "home" / "library").rglob("*.png"))


def test_files_of_prompts_name_pictures_beside_them(limner: Limner, start: Path, mask: Path, tmp_path: Path) -> None:
    lines = [
        {"prompt": "a red fox", "init": "start.png", "strength": 0.5},
        {"prompt": "a fish", "init": "start.png", "mask": "mask.png"},
        {"prompt": "a cat", "init": "nowhere.png"},
        {"prompt": "a boat", "hires": 1.5},
    ]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    result = limner("--from", str(tmp_path / "prompts.jsonl"), *SMALL)
    assert result.exit_code == 7
    assert "line 3" in result.stderr
    made = [read(Path(line)).record for line in result.stdout.splitlines()]
    assert [record.request.strength for record in made if record] == [0.5, 1.0, None]
    assert [record.recipe.finished for record in made if record] == [(32, 32), (32, 32), (48, 48)]
    again = limner("--from", str(tmp_path / "prompts.jsonl"), *SMALL)
    assert "3 of 3 prompts are drawn already" in again.stderr


def test_vary_stays_over_its_picture(limner: Limner, start: Path) -> None:
    drawn(limner, "a red fox", "--init", str(start), "--strength", "0.5", *SMALL)
    path = drawn(limner, "vary", "last", "-n", "1")
    record = read(path).record
    assert record is not None
    assert record.request.init is not None
    assert record.parent is not None


def test_a_plan_counts_it(limner: Limner, start: Path) -> None:
    result = limner("plan", "a red fox", "--init", str(start), "--strength", "0.5", "--hires", "2", *SMALL, "--json")
    assert result.exit_code == 0, result.stderr
    assert {w["code"] for w in json.loads(result.stdout)["plans"][0]["warnings"]} >= {"steps-run", "second-pass"}


def test_an_upscaler_by_path_is_linked_and_has_a_name_from_then_on(limner: Limner, start: Path, tmp_path: Path) -> None:
    network = upscalers.write(tmp_path / "twice.safetensors", upscalers.compact(2))
    result = limner("upscale", str(start), "--with", str(network))
    assert result.exit_code == 0, result.stderr
    assert "linked: the upscaler twice" in result.stderr
    path = Path(result.stdout.strip())
    assert decode(path).shape == (64, 64, 3)
    record = read(path).record
    assert record is not None
    assert str(tmp_path) not in record.to_json()
    assert limner("replay", "last").stdout == "identical: the same pixels\n"
    assert decode(drawn(limner, "upscale", "last", "--with", "twice", "--by", "1.5")).shape == (96, 96, 3)
    found = read(drawn(limner, "a red fox", "--upscale", "twice", *SMALL)).record
    assert found is not None
    assert found.recipe.finished == (64, 64)


def test_an_enlarged_picture_knows_where_it_is_from(limner: Limner) -> None:
    first = drawn(limner, "a red fox", *SMALL)
    path = drawn(limner, "upscale", "last", "--by", "2", "-q")
    record = read(path).record
    assert record is not None
    assert (record.prompt, record.parent) == ("a red fox", first.stem)
    assert "lanczos" in limner("gallery", "show", "last").stdout
    assert "agrees with itself" in limner("inspect", str(path)).stdout


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--mask", "MASK"), 2, ("mask", "init")),
        (("--strength", "0.5"), 2, ("strength", "--init")),
        (("--hires-steps", "5"), 2, ("hires_steps", "--hires")),
        (("--init", "START", "--strength", "0.1"), 2, ("no step at all", "0.5")),
        (("--init", "START", "--strength", "2"), 2, ("strength must be 0 to 1",)),
        (("--init", "none.png"), 7, ("there is no file",)),
        (("--size", "64x64", "--model", "pocket-dalle"), 2, ("it always draws 128x128",)),
        (("--init", "START", "--model", "dalle-mini"), 2, ("dalle-mini cannot honour 'init'",)),
        (("--upscale", "nothing"), 2, ("no upscaler called 'nothing'", "limner models link")),
        (("--upscale", "lanczos:0.5"), 2, ("no factor",)),
        (("--upscale", "PICKLE"), 3, ("pickle", "limner models convert")),
    ],
)
def test_refusals_say_why(
    limner: Limner, start: Path, mask: Path, tmp_path: Path, args: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    (tmp_path / "4x.pth").write_bytes(b"\x80\x02.")
    places = {"START": str(start), "MASK": str(mask), "PICKLE": str(tmp_path / "4x.pth")}
    assert_refused(limner("a fox", *(places.get(arg, arg) for arg in args), "--steps", "2"), code, *words)


def test_help_lists_editing_by_itself(limner: Limner) -> None:
    text = limner("draw", "--help").stdout
    before, after = text.split(EDITING)
    for flag in FLAGS:
        if flag.section == EDITING:
            assert flag.flags[-1] in after
            assert f"{flag.flags[-1]} " not in before
