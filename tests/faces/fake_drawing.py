"""A backend that draws at once, without torch: what the command line does around drawing is what is tested."""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import numpy as np
import pytest

import limner.session
from limner.engine.ticket import Ticket
from limner.errors import GenerationError
from limner.types import Cancelled, Done, Drawn, Facts, Failed, Pixels, Plan, Queued, Step

T = TypeVar("T")
WIDTH, HEIGHT = 32, 16
RealSession = limner.session.Session


class FakeBackend:
    """Draws a colour field that depends on the plan and seed alone. ``fail_on`` is a word that cannot be drawn.

    ``scored``: as ``Session`` has it; no scorer is loaded unless a test asks.
    ``interrupt_after`` pictures of a plan, the process gets a Ctrl-C, and the plan ends when it is cancelled.
    """

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.fail_on = "unlucky"
        self.interrupt_after: int | None = None
        self.previews = False
        self.scored = False

    def submit(self, plan: Plan, *, previews: bool = False) -> Ticket:
        self.plans.append(plan)
        self.previews = previews
        cancelled = threading.Event()
        ticket = Ticket(plan, previews, lambda _id: cancelled.set())
        threading.Thread(target=self._draw, args=(plan, ticket, cancelled), daemon=True).start()
        return ticket

    def compute(self, call: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        pass

    def _draw(self, plan: Plan, ticket: Ticket, cancelled: threading.Event) -> None:
        ticket.tell(Queued(len(plan.seeds)))
        if self.fail_on in plan.prompt.split():
            ticket.tell(Failed(GenerationError("the network answered nonsense", hint="try another seed")))
            return
        for k in range(len(plan.seeds)):
            if k == self.interrupt_after:
                signal.raise_signal(signal.SIGINT)
                assert cancelled.wait(20)
                ticket.tell(Cancelled())
                return
            index = plan.first + k
            shown = pixels_of(plan.image_key(k))
            ticket.tell(Step(index, 1, 2, shown if ticket.previews else None))
            ticket.tell(Step(index, 2, 2))
            ticket.tell(Drawn(index, shown, Facts("Fake CPU", 1, {"total": 0.25}, None, {"limner": "test"})))
        ticket.tell(Done(()))


def pixels_of(key: str) -> Pixels:
    """HEIGHT x WIDTH x 3, uint8."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def fake_drawing(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """Make every Session that a command opens draw with one FakeBackend."""
    backend = FakeBackend()

    def session(**words: object) -> RealSession:
        scored = backend.scored and bool(words.pop("scored", True))
        return RealSession(**{"backend": backend, **words, "scored": scored})  # type: ignore[arg-type]

    monkeypatch.setattr(limner.session, "Session", session)
    return backend
