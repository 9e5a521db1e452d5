"""The examples run as they stand, and do what they say."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.faces.reading import ROOT, small_and_fast

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

LEAVES = {
    "01_draw": ["picture.png"],
    "02_many_seeds": ["contact-sheet.png"],
    "03_events": [],
    "04_async": [],
    "05_latent_walk": ["morph.png", "variation.png"],
    "06_own_solver": ["ghost-ab2.png", "ghost-dpmpp-2m.png"],
    "07_replay": ["whale-without-guidance.png", "whale.png"],
    "08_from_pipeline": ["whale.png"],
}
SAYS = {
    "01_draw": "the same seed gives the same pixels: True",
    "02_many_seeds": "8 pictures",
    "03_events": "pictures were finished and kept",
    "04_async": "a red apple on a yellow background: made",
    "05_latent_walk": "from one prompt to another",
    "06_own_solver": "ab2: ghost-ab2.png",
    "07_replay": "identical",
    "08_from_pipeline": "drawn again: identical",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_runs(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(sys, "argv", [str(example)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with small_and_fast(monkeypatch):
        runpy.run_path(str(example), run_name="__main__")
    assert SAYS[example.stem] in capsys.readouterr().out
    left = sorted(path.name for path in work.iterdir())
    assert left == LEAVES[example.stem]
    for name in left:
        with Image.open(work / name) as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 20, f"{name} is blank"


def test_every_example_is_known_here() -> None:
    assert {path.stem for path in EXAMPLES} == LEAVES.keys() == SAYS.keys()


def test_a_package_of_another_is_found_by_its_entry_point_alone() -> None:
    """What 06_own_solver shows must fail where nothing is installed: else it would prove nothing."""
    from limner.errors import UnknownName
    from limner.sampling.catalog import find

    with pytest.raises(UnknownName):
        find("ab2")
