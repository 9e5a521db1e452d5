"""Previews at a bounded cost: now and then one step is shown, not every one.

Decoding a latent for a preview takes the engine's own thread, and with a small model it costs more than the step that
it shows: previews of every step would make drawing three times slower. So a shown step is followed by steps that are
not, for at least four times as long as it took.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar
from weakref import ref

from limner.engine.backend import Backend
from limner.engine.ticket import Ticket
from limner.errors import LimnerError
from limner.types import Plan

T = TypeVar("T")
A_SECOND = 5.0
SHARE = 4.0  # unshown for so many times as long as a shown step took


class Glimpses:
    """A Backend that draws with another, and shows the steps of one ticket at a time, of all in turn."""

    def __init__(self, inner: Backend, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner, self._clock = inner, clock
        self._wanted: deque[ref[Ticket]] = deque()  # who draws a ticket holds it, to its end
        self._lock = threading.Lock()
        self._busy = False
        self._next = 0.0

    def submit(self, plan: Plan, *, previews: bool = False) -> Ticket:
        ticket = self._inner.submit(plan, previews=False)
        if previews:
            with self._lock:
                self._wanted.append(ref(ticket))
            self.glance()
        return ticket

    def compute(self, call: Callable[[], T]) -> Future[T]:
        return self._inner.compute(call)

    def close(self) -> None:
        self._inner.close()

    def glance(self) -> None:
        """Show the next step of the ticket whose turn it is, if it is time. To be called whenever a step is told."""
        with self._lock:
            if self._busy or self._clock() < self._next or (ticket := self._whose()) is None:
                return
            self._busy = True
        self._show(ticket)

    def _whose(self) -> Ticket | None:
        """The ticket whose turn it is; those that are over are let go."""
        while self._wanted:
            if (ticket := self._wanted[0]()) is not None:
                self._wanted.rotate(-1)
                return ticket
            self._wanted.popleft()
        return None

    def _show(self, ticket: Ticket) -> None:
        began = 0.0

        def show() -> None:
            nonlocal began
            began, ticket.previews = self._clock(), True

        def hide() -> None:  # the engine makes one step between two pieces of work
            ticket.previews = False
            now = self._clock()
            self._next = max(began + 1 / A_SECOND, now + SHARE * (now - began))
            self._busy = False

        try:
            self._inner.compute(show)
            self._inner.compute(hide)
        except LimnerError:  # it has ended: there is nothing to show
            self._busy = False
