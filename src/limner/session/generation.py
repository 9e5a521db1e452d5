"""A request under way: iterate it for Events, in a ``for`` or an ``async for``; cancel it; ask for its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeAlias

from limner.engine.backend import Backend
from limner.engine.ticket import Ticket
from limner.errors import Cancelled as CancelledError
from limner.errors import LimnerError
from limner.image import Image
from limner.types import Cancelled, Done, Drawn, Event, Failed, Made, Plan, Queued, Warned

Finish: TypeAlias = "Callable[[Plan, Drawn], Future[Image]]"


class Generation:
    """Events of one request. ``plans`` say what will be made before anything is.

    Pictures are finished (checked, encoded, stored) on another thread while the next one is drawn; ``Made`` comes once
    a picture is safely stored. The last event is exactly one of Done, Failed, Cancelled, and lists what was made.
    """

    def __init__(self, plans: Sequence[Plan], backend: Backend, finish: Finish, *, previews: bool = False) -> None:
        self.plans = tuple(plans)
        self.images: list[Image] = []
        self._backend = backend
        self._finish = finish
        self._previews = previews
        self._ticket: Ticket | None = None
        self._cancelled = False
        self._finishing: list[tuple[int, Future[Image]]] = []
        self._events = self._run()

    def cancel(self) -> None:
        """Stop at the next step. What is finished stays, and the last event lists it."""
        self._cancelled = True
        if self._ticket is not None:
            self._ticket.cancel()

    def __iter__(self) -> Iterator[Event]:
        return self._events

    async def __aiter__(self) -> AsyncIterator[Event]:
        end = object()
        try:
            while (event := await asyncio.to_thread(next, self._events, end)) is not end:
                yield event  # type: ignore[misc]
        finally:
            self.cancel()

    def result(self) -> list[Image]:
        """Run to the end. Raises the error that stopped it, or ``errors.Cancelled``."""
        for event in self:
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Cancelled):
                raise CancelledError("the request was cancelled", hint=f"{len(self.images)} pictures were finished")
        return self.images

    def _run(self) -> Iterator[Event]:
        yield Queued(sum(len(plan.seeds) for plan in self.plans))
        for plan in self.plans:
            yield from (Warned(notice) for notice in plan.notices)
            end = yield from self._follow(plan)
            if not isinstance(end, Done):
                yield end
                return
        yield Done(tuple(self.images))

    def _follow(self, plan: Plan) -> Generator[Event, None, Event]:
        """One plan's events; returns how it ended."""
        if self._cancelled:
            return Cancelled(tuple(self.images))
        try:
            self._ticket = self._backend.submit(plan, previews=self._previews)
        except LimnerError as error:
            return Failed(error, tuple(self.images))
        end: Event = Done(())
        for tiding in self._ticket:
            if isinstance(tiding, Drawn):
                self._finishing.append((tiding.index, self._finish(plan, tiding)))
            elif isinstance(tiding, Done | Failed | Cancelled):
                end = tiding
            elif not isinstance(tiding, Queued):
                yield tiding
            yield from self._made(wait=False)
        try:
            yield from self._made(wait=True)
        except Exception as error:
            return Failed(error, tuple(self.images))
        if isinstance(end, Failed):
            return Failed(end.error, tuple(self.images))
        return Cancelled(tuple(self.images)) if isinstance(end, Cancelled) else end

    def _made(self, *, wait: bool) -> Iterator[Event]:
        """Pictures whose finishing is done, in order."""
        while self._finishing and (wait or self._finishing[0][1].done()):
            index, future = self._finishing[0]
            if not wait and future.exception() is not None:
                self.cancel()  # the disk is full, say: what waits would fail too; the error is told at the end
                return
            self._finishing.pop(0)
            image = future.result()
            self.images.append(image)
            yield Made(index, image)
