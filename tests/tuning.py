"""Small training runs: pictures, settings that take a moment, runs of a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.session import Session
from limner.tune import cost, planning
from limner.tune.planning import plan
from limner.tune.settings import TuneSettings
from limner.tune.tuning import Tuning, prepare

SIDE = 64


def write_pictures(folder: Path, count: int = 4, *, side: int = SIDE) -> Path:
    """Pictures of noise on a colour, each another; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        rng = np.random.default_rng(k)
        pixels = rng.integers(0, 80, (side, side, 3)) + np.array([40 * (k % 4), 90, 160 - 30 * (k % 4)])
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{k:02d}.png")
    return folder


def settings(model: str = "pocket", **more: object) -> TuneSettings:
    fields: dict[str, object] = {
        "model": model,
        "subject": "sks fox",
        "rank": 2,
        "steps": 4,
        "batch": 2,
        "size": SIDE,
        "lr": 1e-2,
        "warmup": 1,
        "check_every": 2,
        **more,
    }
    return TuneSettings.of(**fields)


def prepared(session: Session, out: Path, data: Path | None = None, *, resume: bool = False, **more: object) -> Tuning:
    if data is None:
        data = out.parent / "data"
        if not data.is_dir():
            write_pictures(data)
    return prepare(plan(settings(**more), data, out, session, resume=resume), session)  # type: ignore[arg-type]


def trained(session: Session, out: Path, **more: object) -> Tuning:
    """A run to its end."""
    tuning = prepared(session, out, **more)  # type: ignore[arg-type]
    tuning.run()
    return tuning


@pytest.fixture(autouse=True)
def untried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run takes is counted and tried by the tests of that alone (``tried``): it takes as long as the run."""
    if "tried" not in request.fixturenames:
        monkeypatch.setattr(planning, "cost_of", lambda *_, **__: cost.Cost(0, 0, 0, 0, 0, 0, 0.0, 0.0, 0))


@pytest.fixture
def tried() -> None:
    """For tests of what a run takes."""
