"""A request under way: iterate it for Events, in a ``for`` or an ``async for``; cancel it; ask for its result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeAlias

from limner.engine.backend import Backend
from limner.engine.ticket import Ticket
from limner.errors import Cancelled as CancelledError
from limner.errors import GenerationError, LimnerError, Refused
from limner.image import Image
from limner.marking import TOLD
from limner.session.looking import BLURRED, UNCHECKED
from limner.types import Cancelled, Done, Drawn, Event, Failed, Made, Notice, Plan, Queued, Warned

Finish: TypeAlias = "Callable[[Plan, Drawn], Future[Image]]"


class Generation:
    """Events of one request. ``plans`` say what will be made before anything is.

    Pictures are finished (checked, encoded, stored) on another thread while the next one is drawn; ``Made`` comes once
    a picture is safely stored. The last event is exactly one of Done, Failed, Cancelled, and lists what was made; it
    comes when ``settle``, which says what went wrong after pictures were stored, has answered.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        backend: Backend,
        finish: Finish,
        *,
        previews: bool = False,
        settle: Callable[[], Sequence[Notice]] = tuple,
    ) -> None:
        self.plans = tuple(plans)
        self.images: list[Image] = []
        self._backend = backend
        self._finish = finish
        self._previews = previews
        self._settle = settle
        self._ticket: Ticket | None = None
        self._cancelling = threading.Event()
        self._finishing: list[tuple[int, Future[Image]]] = []
        self._refused: Refused | None = None
        self._events = self._run()
        self._one_at_a_time = threading.Lock()

    def cancel(self) -> None:
        """Stop at the next step. What is finished stays, and the last event lists it."""
        self._cancelling.set()
        if self._ticket is not None:
            self._ticket.cancel()

    def __iter__(self) -> Iterator[Event]:
        """Leaving the loop early cancels, and keeps what is already drawn."""
        try:
            while (event := self._next()) is not None:
                yield event
        finally:
            self._leave()

    async def __aiter__(self) -> AsyncIterator[Event]:
        try:
            while (event := await asyncio.to_thread(self._next)) is not None:
                yield event
        finally:
            # Not waited for here: an event loop that is closing cannot wait.
            threading.Thread(target=self._leave, name="limner-leave").start()

    def _next(self) -> Event | None:
        with self._one_at_a_time:
            return next(self._events, None)

    def _leave(self) -> None:
        """Cancel what still runs and store what was drawn meanwhile; at once where the last event was seen."""
        self.cancel()
        while self._next() is not None:
            pass

    def result(self) -> list[Image]:
        """Run to the end. Raises the error that stopped it, or ``errors.Cancelled``."""
        for event in self:
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Cancelled):
                raise CancelledError("the request was cancelled", hint=f"{len(self.images)} pictures were finished")
        return self.images

    def _run(self) -> Iterator[Event]:
        for event in self._drawing():
            if isinstance(event, Done | Failed | Cancelled):
                yield from (Warned(notice) for notice in self._settle())
            yield event

    def _drawing(self) -> Iterator[Event]:
        yield Queued(sum(len(plan.seeds) for plan in self.plans))
        failed: Failed | None = None
        for plan in self.plans:
            yield from (Warned(notice) for notice in plan.notices)
            end = yield from self._follow(plan)
            if isinstance(end, Failed) and isinstance(end.error, GenerationError | Refused):
                failed = failed or end  # these words could not be drawn or kept; the next ones may
            elif not isinstance(end, Done):
                yield end
                return
        yield Failed(failed.error, tuple(self.images)) if failed else Done(tuple(self.images))

    def _follow(self, plan: Plan) -> Generator[Event, None, Event]:
        """One plan's events; returns how it ended."""
        if self._cancelling.is_set():
            return Cancelled(tuple(self.images))
        try:
            self._ticket = self._backend.submit(plan, previews=self._previews)
        except LimnerError as error:
            return Failed(error, tuple(self.images))
        if self._cancelling.is_set():  # between the first look and the ticket
            self._ticket.cancel()
        end: Event = Done(())
        for tiding in self._ticket:
            if isinstance(tiding, Drawn):
                self._finishing.append((tiding.index, self._finish(plan, tiding)))
            elif isinstance(tiding, Done | Failed | Cancelled):
                end = tiding
            elif not isinstance(tiding, Queued):
                yield tiding
            yield from self._made()
        unfinished = yield from self._made_at_last()
        if unfinished is not None:
            return Failed(unfinished, tuple(self.images))
        if isinstance(end, Failed):
            return Failed(end.error, tuple(self.images))
        refused, self._refused = self._refused, None
        if refused is not None and isinstance(end, Done):
            return Failed(refused, tuple(self.images))
        return Cancelled(tuple(self.images)) if isinstance(end, Cancelled) else end

    def _made(self) -> Iterator[Event]:
        """Pictures whose finishing is done, in order. One that failed stops the drawing: the disk is full, say."""
        while self._finishing and self._finishing[0][1].done():
            error = self._finishing[0][1].exception()
            if error is not None and not isinstance(error, Refused):
                assert self._ticket is not None
                self._ticket.cancel()
                return
            yield from self._kept(*self._finishing.pop(0))

    def _made_at_last(self) -> Generator[Event, None, Exception | None]:
        """Wait for all that is being finished; every good one is told, the first error returned."""
        first: Exception | None = None
        while self._finishing:
            index, future = self._finishing.pop(0)
            try:
                yield from self._kept(index, future)
            except Exception as error:
                first = first or error
        return first

    def _kept(self, index: int, future: Future[Image]) -> Iterator[Event]:
        """One picture and what was said of it. One that was refused leaves the others: that is told at the end."""
        try:
            image = future.result()
        except Refused as error:
            self._refused = self._refused or error
            if sum(len(plan.seeds) for plan in self.plans) > 1:
                yield Warned(Notice(code="refused", message=f"picture {index + 1}: {error.message}"), index)
            return
        self.images.append(image)
        yield from (Warned(notice, index) for notice in image.record.checks if notice.code in (BLURRED, UNCHECKED))
        yield from (Warned(notice, index) for notice in image.record.notices if notice.code in TOLD)
        yield Made(index, image)
