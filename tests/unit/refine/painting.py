"""A backend that paints what a test can foresee: noise by the seed, and red by the words and the guidance."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

import limner.session
from limner.engine.ticket import Ticket
from limner.session import Session
from limner.types import Cancelled, Done, Drawn, Facts, Pixels, Plan, Queued
from tests.faces.fake_drawing import FakeBackend

SIDE = 24


class Painter(FakeBackend):
    """Each "red" in the prompt adds red, "same" takes all difference between seeds away. ``stop_after`` pictures in
    all, the job that is being drawn is cancelled, as by Ctrl-C."""

    def __init__(self) -> None:
        super().__init__()
        self.painted: list[tuple[str, int]] = []
        self.stop_after: int | None = None

    def _draw(self, plan: Plan, ticket: Ticket, cancelled: threading.Event) -> None:
        ticket.tell(Queued(len(plan.seeds)))
        for k, seed in enumerate(plan.seeds):
            if len(self.painted) == self.stop_after:
                ticket.tell(Cancelled())
                return
            self.painted.append((plan.prompt, seed.seed))
            facts = Facts("Painter", 1, {"total": 0.5}, 1_000_000, {"limner": "test"})
            ticket.tell(Drawn(plan.first + k, paint(plan.prompt, seed.seed, plan.recipe.guidance), facts))
        ticket.tell(Done(()))


def take_over(monkeypatch: pytest.MonkeyPatch) -> Painter:
    """A Painter, which every Session of the command line draws by from now on."""
    backend, real = Painter(), limner.session.Session
    made: Callable[..., Session] = lambda **words: real(backend=backend, **words)  # noqa: E731
    monkeypatch.setattr(limner.session, "Session", made)
    return backend


def paint(prompt: str, seed: int, guidance: float) -> Pixels:
    """SIDE x SIDE x 3: a field of colours by the seed, redder by 30 for each "red", and by the guidance."""
    rng = np.random.default_rng(0 if "same" in prompt.split() else seed)
    field = rng.integers(60, 120, (4, 4, 3)).repeat(SIDE // 4, 0).repeat(SIDE // 4, 1)
    field[..., 0] += int(30 * prompt.split().count("red") + guidance)
    return field.clip(0, 255).astype(np.uint8)
