"""The inside of the service: taking up what a former server left, handing jobs out, hearing what became of them.

A job that runs when the worker dies goes back to the head of the line once; pictures that were stored stay its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import cast

from pydantic import JsonValue

from limner.library.store import Library
from limner.serve.crew import COMMAND, Crew
from limner.serve.hub import Hub
from limner.serve.jobs import Ask, Body, Job, State, TidingType, Trouble
from limner.serve.queue import Queue
from limner.serve.rate import Rate
from limner.serve.wire import Frame
from limner.types import Notice, Plan

AT_ONCE = 16  # drawing jobs that share the engine
STUDIES = frozenset({"refine", "compare"})
"""Kinds of which one runs at a time: each fills the engine by itself."""


@dataclass(frozen=True)
class Options:
    """How a server is run. ``most_waiting``: pictures in the queue. ``command``: the worker process."""

    most_waiting: int = 200
    at_once: int = AT_ONCE
    command: Sequence[str] = COMMAND
    environment: Mapping[str, str] | None = None
    offline: bool | None = None


class Dispatch:
    """Of one event loop. ``pending`` counts pictures that are accepted and not finished."""

    def __init__(self, queue: Queue, hub: Hub, library: Library, options: Options) -> None:
        self.queue, self.hub, self._library, self._options = queue, hub, library, options
        self.rate = Rate()
        said = {"offline": options.offline, "batching": "shared"}
        command = (*options.command, json.dumps(said))
        self.crew = Crew(self._heard, self._died, command=command, environment=options.environment)
        self.running: dict[str, Ask] = {}
        self.pending = 0
        self.draining = False
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> int:
        """Take up what was left, start the worker; the number of jobs resumed."""
        resumed = await asyncio.to_thread(self._recover)
        await self.count()
        self.crew.start()
        self._tasks = [
            asyncio.create_task(self._dispatch(), name="limner-dispatch"),
            asyncio.create_task(self._expire(), name="limner-deadlines"),
        ]
        self.wake()
        return resumed

    async def stop(self, grace: float) -> None:
        """Hand out nothing more, wait ``grace`` seconds for what runs, leave the rest in the queue."""
        self.draining = True
        end = time.monotonic() + grace
        while self.running and time.monotonic() < end:
            await asyncio.sleep(0.05)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.crew.close()

    def wake(self) -> None:
        """There is something to hand out."""
        self._wake.set()

    async def count(self) -> None:
        self.pending = await asyncio.to_thread(self.queue.waiting)

    async def cancel(self, name: str) -> None:
        """Stop a job: a waiting one at once, a running one at its next step."""
        if name in self.running:
            await self.crew.send(Frame("stop", {"job": name}))
        elif await asyncio.to_thread(partial(self.queue.end, name, "cancelled")):
            await self.count()
            self.hub.tell(name, "cancelled")

    def _recover(self) -> int:
        """Jobs that were running when the last server died go back to the line; their stored pictures are theirs."""
        resumed = 0
        for job in self.queue.list("running", limit=10_000):
            self._claim(job)
            if self.queue.again(job.id):
                resumed += 1
            else:
                self.queue.end(job.id, "failed", error=_spent(job))
        return resumed

    def _claim(self, job: Job) -> None:
        """Pictures of a job that reached the library, while the news of it did not reach the queue."""
        if job.kind != "draw":
            return
        for plan in (Plan.model_validate(each) for each in self.queue.ask(job.id).plans):
            for k in range(len(plan.seeds)):
                place = plan.first + k
                if place < len(job.pictures) and job.pictures[place] is not None:
                    continue
                entry = self._library.find_by_key(plan.image_key(k))
                if entry is not None and _at(entry.created) >= int(job.created) and not self.queue.is_made(entry.id):
                    self.queue.made(job.id, place, entry.id)

    async def _dispatch(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.crew.wait_ready()
            for job in await asyncio.to_thread(self.queue.list, "queued"):
                if len(self.running) >= self._options.at_once:
                    break
                if not self._may_run(job):
                    continue
                if await asyncio.to_thread(self.queue.start, job.id):
                    await self._hand_out(job)

    def _may_run(self, job: Job) -> bool:
        if self.draining:
            return False
        return job.kind not in STUDIES or not any(ask.kind in STUDIES for ask in self.running.values())

    async def _hand_out(self, job: Job) -> None:
        ask = await asyncio.to_thread(self.queue.ask, job.id)
        if not self.running:
            self.rate.began()
        self.running[job.id] = ask
        self.hub.tell(job.id, "started", {"attempt": job.attempts + 1})
        made: dict[str, JsonValue] = {
            str(place): picture for place, picture in enumerate(job.pictures) if picture is not None
        }
        data = {"job": job.id, "ask": cast(JsonValue, ask.model_dump(mode="json")), "made": cast(JsonValue, made)}
        if not await self.crew.send(Frame("run", data)):  # it died meanwhile: _died has been told, or will be
            self._wake.set()

    async def _heard(self, frame: Frame) -> None:
        name = str(frame.data.get("job"))
        if name not in self.running:
            return
        if frame.type == "tiding":
            await self._tell(name, frame)
        elif frame.type == "end":
            await self._ended(name, frame)

    async def _tell(self, name: str, frame: Frame) -> None:
        data = frame.data.get("data")
        assert isinstance(data, dict)
        kind = str(frame.data["what"])
        if kind == "made" and data.get("picture") is not None:
            await asyncio.to_thread(self.queue.made, name, int(str(data["index"])), str(data["picture"]))
            self.rate.done()
            self.pending = max(0, self.pending - 1)
        elif kind == "warned":
            notice = Notice(code=str(data["code"]), message=str(data["message"]))
            await asyncio.to_thread(self.queue.warn, name, notice)
        self.hub.tell(name, cast(TidingType, kind), data, frame.blob or None)

    async def _ended(self, name: str, frame: Frame) -> None:
        self.running.pop(name, None)
        state, error = cast(State, frame.data["state"]), frame.data.get("error")
        result = cast("Body | None", frame.data.get("result"))
        trouble = None if error is None else Trouble.model_validate(error)
        if frame.data.get("fatal"):
            if await asyncio.to_thread(self.queue.again, name):
                self.hub.tell(name, "restarted", {"reason": trouble.message if trouble else ""})
                await self.crew.replace(trouble.message if trouble else "fatal error")
                return
            await self.crew.replace(trouble.message if trouble else "fatal error")
        end = partial(self.queue.end, name, state, error=trouble, result=result)
        await asyncio.to_thread(end)
        await self.count()
        self.hub.tell(name, cast(TidingType, state), {} if trouble is None else trouble.model_dump(mode="json"))
        self._wake.set()

    async def _died(self, reason: str) -> None:
        """Every job that ran goes back to the head of the line, or fails where it did so before."""
        lost, self.running = self.running, {}
        for name in sorted(lost, reverse=True):
            job = await asyncio.to_thread(self.queue.get, name)
            assert job is not None
            await asyncio.to_thread(self._claim, job)
            if await asyncio.to_thread(self.queue.again, name):
                self.hub.tell(name, "restarted", {"reason": reason})
                continue
            trouble = _spent(job, reason)
            await asyncio.to_thread(partial(self.queue.end, name, "failed", error=trouble))
            self.hub.tell(name, "failed", trouble.model_dump(mode="json"))
        await self.count()
        self._wake.set()

    async def _expire(self) -> None:
        """Jobs whose deadline has passed: nobody wants them any more."""
        while True:
            await asyncio.sleep(0.5)
            now = time.time()
            for job in await asyncio.to_thread(partial(self.queue.list, "queued", "running", limit=10_000)):
                if job.deadline is None or job.deadline > now:
                    continue
                trouble = Trouble(code="deadline", message="the deadline passed before it was done", retry=True)
                if await asyncio.to_thread(partial(self.queue.end, job.id, "failed", error=trouble)):
                    await self.crew.send(Frame("stop", {"job": job.id}))
                    self.running.pop(job.id, None)
                    await self.count()
                    self.hub.tell(job.id, "failed", trouble.model_dump(mode="json"))
                    self._wake.set()


def _spent(job: Job, reason: str = "the server was killed") -> Trouble:
    return Trouble(
        code="worker_died",
        message=f"the process that drew it ended {job.attempts} times ({reason})",
        hint="ask for fewer or smaller pictures, or another model; limner doctor",
    )


def _at(created: str) -> float:
    return datetime.fromisoformat(created).timestamp()
