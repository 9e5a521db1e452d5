"""One session, and tiny checkpoints of each family with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("peft")
pytest.importorskip("diffusers")

from limner import Session
from limner.config import Settings
from limner.tune import cost, planning
from tests import checkpoints


@pytest.fixture(scope="package")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home = tmp_path_factory.mktemp("home")
    with Session(settings=Settings.load(home, {"LIMNER_STEPS": "2"}), keep=False, offline=True, scored=False) as made:
        yield made


@pytest.fixture(scope="package")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoint folders by kind; ``xl`` has the blocks and depths of the real one's layout, narrow."""
    folder = tmp_path_factory.mktemp("bases")
    return {
        "sd1": checkpoints.write(folder / "sd1", checkpoints.SD1_LIKE),
        "sd2": checkpoints.write(folder / "sd2", checkpoints.ZERO_SNR_LIKE),
        "xl": checkpoints.write_xl(folder / "xl", checkpoints.XL_BASE),
    }


@pytest.fixture(scope="package")
def tiny(bases: dict[str, Path]) -> str:
    """The model of runs that ask nothing of what it draws."""
    return str(bases["sd1"])


@pytest.fixture(autouse=True)
def untried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run takes is counted and tried by the tests of that alone (``tried``): it takes as long as the run."""
    if "tried" not in request.fixturenames:
        monkeypatch.setattr(planning, "cost_of", lambda *_, **__: cost.Cost(0, 0, 0, 0, 0, 0, 0.0, 0.0, 0))


@pytest.fixture
def tried() -> None:
    """For tests of what a run takes."""
