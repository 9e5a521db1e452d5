"""What routes get at: the Service, and the shell round it. A dialect is a module with a ``router``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from starlette.requests import HTTPConnection, Request  # FastAPI reads these of the dependencies' signatures

from limner.errors import Cancelled
from limner.serve.service import Draining, Service

LAST_WORD = 1.0  # seconds before the end in which those who still wait are told that they waited in vain

if TYPE_CHECKING:
    from limner.serve.doomed import Doomed
    from limner.serve.errors import Worded
    from limner.serve.jobs import Job, Tiding
    from limner.serve.meters import Meters
    from limner.serve.security import Guard
    from limner.serve.thumbnails import Thumbnails


@dataclass(frozen=True)
class Dialect:
    """Of a module with routes below ``prefix``: how it words errors, its own and those found before it was asked.

    A module says it as ``dialect = Dialect("/v1", worded)``; without one, errors have the native shape.
    """

    prefix: str
    worded: Worded


@dataclass
class Shell:
    """What belongs to one server. ``closing`` is set when it should stop: endless answers end then. ``ending`` is set
    shortly before its grace is over: answers that wait for a job end then."""

    service: Service
    meters: Meters
    guard: Guard
    doomed: Doomed
    thumbnails: Thumbnails
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    def close(self) -> None:
        """The server should stop: nothing new is accepted or begun, endless answers end."""
        self.service.inside.draining = True
        self.closing.set()

    def close_within(self, grace: float) -> None:
        """As ``close``, and all is over ``grace`` seconds after the first call. A signal's handler may call it."""
        if self.closing.is_set():
            return
        self.service.inside.drain(grace)
        self.close()
        loop = asyncio.get_running_loop()  # a handler may run amid the loop's own work on its timers
        loop.call_soon_threadsafe(loop.call_later, max(grace - LAST_WORD, grace / 2), self.ending.set)


def shell(request: HTTPConnection) -> Shell:
    """The Shell of the server that answers ``request``; a dependency for routes."""
    return cast(Shell, request.app.state.shell)


def service(request: HTTPConnection) -> Service:
    """The Service of the server that answers ``request``; a dependency for routes."""
    return shell(request).service


async def follow(request: Request, name: str) -> AsyncIterator[Tiding]:
    """Tidings of a job until it is over, for an answer that waits for it.

    Raises ``Cancelled`` at once where the client hangs up (the job is cancelled too: nobody wants its pictures), and
    ``Draining`` where the server stops while the job still waits in the queue, where it stays, or before the job is
    done, which goes back there.
    """
    own = service(request)
    gone = asyncio.ensure_future(_none_when(disconnected(request)))
    closing = asyncio.ensure_future(_none_when(shell(request).closing.wait()))
    ending = asyncio.ensure_future(_none_when(shell(request).ending.wait()))
    ends = {gone, closing, ending}
    tidings = cast("AsyncGenerator[Tiding, None]", own.follow(name))
    step = asyncio.ensure_future(_next(tidings))
    try:
        while True:
            await asyncio.wait({step, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if step.done():
                tiding = step.result()
                if tiding is None:
                    return
                yield tiding
                step = asyncio.ensure_future(_next(tidings))
            elif gone.done():
                await own.cancel(name)
                raise Cancelled("the client hung up")
            elif ending.done() or await _waits(own, name):
                raise Draining("the server is stopping; the job stays in its queue", hint=f"ask for job {name} later")
            else:
                ends.discard(closing)  # what runs is finished before the server ends
    finally:
        for task in (step, *ends, closing):
            task.cancel()
        await asyncio.gather(step, return_exceptions=True)
        await tidings.aclose()


async def finished(request: Request, name: str) -> Job:
    """The job when it is over. Raises as ``follow``."""
    async for _ in follow(request, name):
        pass
    job = await service(request).job(name)
    assert job is not None
    return job


async def disconnected(request: Request) -> None:
    """Returns when the client hangs up. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _next(tidings: AsyncIterator[Tiding]) -> Tiding | None:
    return await anext(tidings, None)


async def _none_when(end: Awaitable[object]) -> Tiding | None:
    await end
    return None


async def _waits(own: Service, name: str) -> bool:
    job = await own.job(name)
    return job is not None and job.state == "queued"
