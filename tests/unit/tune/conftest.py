"""One session, and tiny checkpoints of each family with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("peft")
pytest.importorskip("diffusers")

from limner import Session
from limner.config import Settings
from tests import checkpoints
from tests.tuning import tried as tried
from tests.tuning import untried as untried


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
