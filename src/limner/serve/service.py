"""What every dialect and the studio talk to: submit, follow, list, move, cancel. Of one event loop, torch-free."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import TYPE_CHECKING

from limner.engine.ticket import Ticket
from limner.errors import GenerationError, InvalidRequest, ResourceError
from limner.serve.dispatch import Dispatch, Options
from limner.serve.hub import Hub
from limner.serve.jobs import Ask, Job, State, Tiding
from limner.serve.places import Promise
from limner.serve.queue import Queue
from limner.types import Notice, Plan, Request

if TYPE_CHECKING:
    from limner.config import Settings
    from limner.session import Session


class QueueFull(ResourceError):
    """The queue takes no more; ``retry_after`` seconds from now it may."""

    code = "queue_full"

    def __init__(self, waiting: int, retry_after: float) -> None:
        self.retry_after = max(1, math.ceil(retry_after))
        super().__init__(
            f"the queue is full: {waiting} pictures are waiting", hint=f"try again in {self.retry_after} seconds"
        )


class Draining(ResourceError):
    """The server is about to stop and accepts nothing new."""

    code = "draining"


class NoEngine:
    """The backend of the server's own Session: it plans, and never draws."""

    def submit(self, plan: Plan, *, previews: bool = False) -> Ticket:
        raise GenerationError("the server draws in its worker process")

    def compute(self, call: object) -> object:
        raise GenerationError("the server computes in its worker process")

    def close(self) -> None:
        """Nothing to close."""


class Service:
    """The queue, the worker and who listens. Make it, ``await start()``, at the end ``await stop()``.

    ``session`` plans and opens the library; its backend is ``NoEngine``.
    """

    def __init__(self, settings: Settings, options: Options | None = None) -> None:
        from limner.session import Session

        self.settings = settings
        self.options = options or Options()
        self.session: Session = Session(
            settings=settings,
            backend=NoEngine(),  # type: ignore[arg-type]
            batching="shared",
            offline=self.options.offline,
            scored=False,
        )
        self.queue = Queue(settings.data)
        self.hub = Hub()
        protection = self.session.settings.protection
        self.inside = Dispatch(self.queue, self.hub, self.session.library, self.options, protection)
        self.started = time.time()
        self.resumed = 0
        self._planner = ThreadPoolExecutor(1, thread_name_prefix="limner-plan")
        self._accepting: set[asyncio.Task[Job]] = set()

    async def start(self) -> None:
        """Take up what an earlier server left, start the worker and the dispatch."""
        self.resumed = await self.inside.start()

    async def stop(self, grace: float = 30.0) -> None:
        """Accept nothing, finish what runs within ``grace`` seconds of the first word of the end (this, or
        ``Dispatch.drain``), leave the rest in the queue."""
        await self.inside.stop(grace)
        self._planner.shutdown()
        self.queue.close()
        self.session.close()

    async def plan(self, request: Request, *, parent: str | None = None) -> tuple[Plan, ...]:
        """Plans of a Request, off the event loop, one after another: several at once would only make each slower, and
        everything else too. Raises what ``Session.plan`` does, ``Draining`` after ``stop``."""
        call = partial(self.session.plan, request, parent=parent)
        try:
            planned = asyncio.get_running_loop().run_in_executor(self._planner, call)
        except RuntimeError:  # the pool's own word for "closed"
            raise self._stopping() from None
        return await planned

    async def draw(
        self,
        request: Request,
        *,
        client: str = "native",
        key: str | None = None,
        deadline: float | None = None,
        previews: bool = True,
        notices: Sequence[Notice] = (),
        parent: str | None = None,
    ) -> Job:
        """Plan a Request and accept it; the job that was accepted with ``key``, where there is one.

        Raises what planning does, ``QueueFull``, ``Draining``, ``StorageError``."""
        if (known := await self.known(key)) is not None:
            return known
        with self._room(request.n):
            plans = await self.plan(request, parent=parent)
        ask = Ask(
            kind="draw",
            body=request.model_dump(mode="json", exclude_defaults=True),
            plans=tuple(plan.model_dump(mode="json") for plan in plans),
            n=sum(len(plan.seeds) for plan in plans),
            title=plans[0].prompt,
            client=client,
            key=key,
            deadline=deadline,
            previews=previews,
            notices=(*notices, *(each for plan in plans for each in (*plan.notices, *plan.checks))),
        )
        return await self.submit(ask)

    def admit(self, n: int) -> None:
        """Raises ``QueueFull`` or ``Draining`` where ``n`` more pictures are too many, ``InvalidRequest`` where they
        always are. Quick, before any planning."""
        most = self.options.most_waiting
        if self.inside.draining:
            raise self._stopping()
        if n > most:
            raise InvalidRequest(f"n: {n} pictures at once; this server takes {most}", field="n", hint="ask for fewer")
        taken = self.queue.places.taken
        if taken + n > most:
            raise QueueFull(taken, self.inside.rate.wait(taken + n - most))

    async def known(self, key: str | None) -> Job | None:
        """The job that was accepted with an idempotency key: whoever asks again is answered also when the queue is
        full."""
        return None if key is None else await self.inside.do(self.queue.by_key, key)

    async def submit(self, ask: Ask) -> Job:
        """Accept work: on return it is on the disk. Raises ``QueueFull``, ``Draining``, ``StorageError``."""
        if (known := await self.known(ask.key)) is not None:
            return known
        with ExitStack() as held:
            room = held.enter_context(self._room(ask.n))
            accepting = asyncio.create_task(self._accept(ask, room, held.pop_all()))
        # Whoever goes away meanwhile: what is on its way to the disk gets there, in its own place, and is begun.
        self._accepting.add(accepting)
        accepting.add_done_callback(self._accepting.discard)
        return await asyncio.shield(accepting)

    async def _accept(self, ask: Ask, room: Promise, held: ExitStack) -> Job:
        """The job of ``ask``; what is ``held`` for it is let go of at the end."""
        with held:
            job, new = await self.inside.do(self.queue.accept, ask, room)
        if new:
            self.hub.tell(job.id, "queued", {"place": job.place, "n": job.n})
            self.inside.wake()
        return job

    def _room(self, n: int) -> AbstractContextManager[Promise]:
        """Room in the queue for ``n`` pictures that are about to be accepted. Raises what ``admit`` does."""
        self.admit(n)
        return self.queue.places.promised(n)

    def _stopping(self) -> Draining:
        return Draining("the server is stopping", hint="try again in a minute")

    async def job(self, name: str) -> Job | None:
        return await self.inside.do(self.queue.get, name)

    async def jobs(self, *states: State, limit: int = 100, before: float | None = None) -> list[Job]:
        """Jobs: those waiting in their order, others newest first."""
        return await self.inside.do(self.queue.listed, *states, limit=limit, before=before)

    async def standing(self, limit: int = 100) -> tuple[list[Job], list[Job]]:
        """Jobs that run, newest first, and those that wait, in their order, at one moment."""
        return await self.inside.do(self.queue.standing, limit)

    async def cancel(self, name: str) -> Job | None:
        """Stop a job: a waiting one at once, a running one at its next step. What is made stays."""
        await self.inside.cancel(name)
        return await self.job(name)

    async def move(self, name: str, before: str | None) -> bool:
        """Put a waiting job before another one, or at the end."""
        moved = await self.inside.do(self.queue.move, name, before)
        if moved:
            self.hub.tell(name, "moved", {"before": before})
        return moved

    def listen(self, job: str | None = None, after: int | None = None) -> AsyncIterator[Tiding]:
        """Tidings of one job or of all, to the end of the server."""
        return self.hub.listen(job, after)

    async def follow(self, name: str) -> AsyncIterator[Tiding]:
        """Tidings of one job to its last one; at once where it is over."""
        after = self.hub.seq
        job = await self.job(name)
        if job is None or job.over:
            return
        async for tiding in self.hub.listen(name, after):
            yield tiding
            if tiding.last:
                return

    async def wait(self, name: str) -> Job:
        """The job when it is over; as it then is, where the server stops before."""
        async for _ in self.follow(name):
            pass
        job = await self.job(name)
        assert job is not None
        return job

    def seconds_until(self, job: Job) -> float | None:
        """A guess at when a waiting job is begun, by the measured rate; ``None`` where it does not wait."""
        return None if job.place is None else self.inside.rate.wait(job.place - 1 + len(self.inside.running))
