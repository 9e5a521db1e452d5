"""Clients that wait for a job, that hang up, and that come back.

Whoever hangs up wants no pictures: the job is cancelled. But OpenAI's client libraries give up after a time that they
announce, and ask again; were the job cancelled and begun anew each time, a slow one would never be finished. So the job
of a client that hung up when its time was over is kept for some seconds, and the repetition, which says that it is one,
goes on with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from limner.errors import Cancelled
from limner.serve.service import Draining
from limner.serve.shell import disconnected, shell

if TYPE_CHECKING:
    from pydantic import JsonValue
    from starlette.requests import Request

    from limner.serve.jobs import Tiding
    from limner.serve.service import Service

HELD = 12.0  # seconds that a job waits for its client to ask again: they pause for 8 at most
BEAT = 15.0  # seconds
LATE = 2.0  # seconds that a request may have been under way before it was heard
EARLY = 0.9  # share of its time after which a client that hangs up is taken to have run out of it


@dataclass(frozen=True)
class Visit:
    """One request of a client. ``what`` is the same for a repetition, ``again`` says that it is one. ``patience``:
    seconds that the client said it waits."""

    what: str
    again: bool
    patience: float
    began: float

    @classmethod
    def of(cls, request: Request, body: Mapping[str, JsonValue]) -> Visit:
        """``body``: all that was sent, pictures by their hash."""
        client = request.client.host if request.client else ""
        who = [client, request.headers.get("authorization", ""), request.url.path]
        text = json.dumps([who, dict(body)], sort_keys=True)
        return cls(
            hashlib.sha256(text.encode()).hexdigest(),
            _number(request.headers.get("x-stainless-retry-count")) > 0,
            _number(request.headers.get("x-stainless-read-timeout")) or math.inf,
            time.monotonic(),
        )

    @property
    def over(self) -> bool:
        """Whether the client's time is over."""
        return time.monotonic() - self.began >= min(EARLY * self.patience, self.patience - LATE)


class Waiting:
    """Of one server: how many clients wait for each job, and which jobs wait for a client."""

    def __init__(self, own: Service, held: float = HELD) -> None:
        self._own, self._held = own, held
        self._clients: dict[str, int] = {}
        self._lost: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def known(self, visit: Visit) -> str | None:
        """The job that a repetition goes on with."""
        return self._lost.get(visit.what) if visit.again else None

    @contextlib.contextmanager
    def client(self, job: str, visit: Visit) -> Iterator[None]:
        """A client waits inside. Left by an exception it has gone: the job is cancelled, unless another waits."""
        self._clients[job] = self._clients.get(job, 0) + 1
        self._lost = {what: name for what, name in self._lost.items() if name != job}
        gone = True
        try:
            yield
            gone = False
        finally:
            self._clients[job] -= 1
            if not self._clients[job]:
                del self._clients[job]
            if gone and visit.over:
                self._lost[visit.what] = job
                asyncio.get_running_loop().call_later(self._held, self._forget, visit.what, job)
            elif gone:
                self.unwanted(job)

    def _forget(self, what: str, job: str) -> None:
        """The client did not come back."""
        if self._lost.get(what) == job:
            del self._lost[what]
            self.unwanted(job)

    def unwanted(self, job: str) -> None:
        """Cancel a job that is not over, unless a client waits for it or may come back to it."""
        if job not in self._clients and job not in self._lost.values() and not self._own.inside.draining:
            task = asyncio.get_running_loop().create_task(self._cancel(job), name=f"limner-hung-up-{job}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _cancel(self, job: str) -> None:
        found = await self._own.job(job)
        if found is not None and not found.over:
            await self._own.cancel(job)


def waiting(request: Request) -> Waiting:
    """The ``Waiting`` of the server that answers ``request``."""
    state = request.app.state
    if not hasattr(state, "openai_waiting"):
        state.openai_waiting = Waiting(shell(request).service)
    found = state.openai_waiting
    assert isinstance(found, Waiting)
    return found


async def follow(request: Request, name: str, visit: Visit) -> AsyncGenerator[Tiding | None, None]:
    """Tidings of a job until it is over, ``None`` at times when there are none. Raises ``Cancelled`` when the client
    hangs up, ``Draining`` when the server stops while the job still waits in the queue, or before it is done."""
    own = shell(request).service
    tidings = cast("AsyncGenerator[Tiding, None]", own.follow(name))
    gone = asyncio.ensure_future(_none_when(disconnected(request)))
    closing = asyncio.ensure_future(_none_when(shell(request).closing.wait()))
    ending = asyncio.ensure_future(_none_when(shell(request).ending.wait()))
    ends = {gone, closing, ending}
    step = asyncio.ensure_future(_next(tidings))
    with waiting(request).client(name, visit):
        try:
            while True:
                done, _ = await asyncio.wait({step, *ends}, timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    yield None
                elif step.done():
                    tiding = step.result()
                    if tiding is None:
                        return
                    yield tiding
                    step = asyncio.ensure_future(_next(tidings))
                elif gone.done():
                    raise Cancelled("the client hung up")
                elif ending.done() or ((job := await own.job(name)) is not None and job.state == "queued"):
                    raise Draining("the server is stopping; the job stays in its queue", hint="ask again later")
                else:
                    ends.discard(closing)  # what runs is finished before the server ends
        finally:
            for task in (step, *ends, closing):
                task.cancel()
            await asyncio.gather(step, return_exceptions=True)
            await tidings.aclose()


async def _next(tidings: AsyncIterator[Tiding]) -> Tiding | None:
    return await anext(tidings, None)


async def _none_when(end: Awaitable[object]) -> Tiding | None:
    await end
    return None


def _number(text: str | None) -> float:
    """What a header says; 0 where it says no number."""
    try:
        found = float(text or 0)
    except ValueError:
        return 0.0
    return found if math.isfinite(found) and found > 0 else 0.0
