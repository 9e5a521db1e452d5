"""The inside of the service: taking up what a former server left, handing jobs out, hearing what became of them.

Every change of a job's state happens within ``_turn``, one after another: a death of the worker, a cancel and a
deadline never meet a job that is half handed out. A job under which the worker died goes back to the head of the line
once; it is then on probation: nothing else is begun before it has made something, so that the next death has one cause
and no other job pays for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar, cast

from pydantic import JsonValue

from limner.errors import LimnerError
from limner.library.store import Library
from limner.serve.alive import Alive
from limner.serve.crew import Crew
from limner.serve.hub import Hub
from limner.serve.jobs import OVER, Body, Kind, State, TidingType, Trouble
from limner.serve.options import Options as Options
from limner.serve.queue import Queue
from limner.serve.rate import Rate
from limner.serve.recovery import put_back, spent
from limner.serve.running import Running
from limner.serve.wire import Frame
from limner.types import Notice, Protection

log = logging.getLogger("limner.serve")

T = TypeVar("T")
STUDIES: frozenset[Kind] = frozenset({"refine", "compare"})
"""Kinds of which one runs at a time: each fills the engine by itself."""
TICK = 0.5  # seconds
PROBATION = 60.0  # seconds without a death after which a job is no longer suspected
HISTORY = 7 * 86_400.0  # seconds for which jobs that are over are remembered
HOUR = 3_600.0
RETRY = 1.0  # seconds until the disk is asked again
LAST = 1.5  # seconds after the end of the grace that the worker has for its step


class Dispatch:
    """Of one event loop."""

    def __init__(self, queue: Queue, hub: Hub, library: Library, options: Options, protection: Protection) -> None:
        self.queue, self.hub, self._library, self._options = queue, hub, library, options
        self.rate = Rate()
        safety = protection.model_dump(include={"level", "marks", "metadata"})  # the server's flags hold in the worker
        said = {"offline": options.offline, "batching": "shared", "safety": safety}
        self._alive = Alive(queue.path.parent)
        self.crew = Crew(
            self._heard,
            self._died,
            command=(*options.command, json.dumps(said)),
            environment=options.environment,
            silence=options.silence,
            inherited=lambda: self._alive.fds,
        )
        self.running: dict[str, Running] = {}
        self.draining = False
        self._until: float | None = None
        self._closing = False
        self._guilty: tuple[str, Trouble | None] | None = None  # whose fault the coming death is, in its own words
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="limner-queue")
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pending(self) -> int:
        """Pictures that are accepted and not finished."""
        return self.queue.places.held

    async def do(self, call: Callable[..., T], *given: object, **named: object) -> T:
        """Something of the queue's, on its thread: never behind what else is computed."""
        return await asyncio.get_running_loop().run_in_executor(self._desk, partial(call, *given, **named))

    async def start(self) -> int:
        """Take up what was left, start the worker; the number of jobs resumed. Raises ``AlreadyServed``."""
        await self.do(self._alive.take)
        try:
            resumed = await self.do(self._recover)
        except BaseException:
            self._alive.release()
            raise
        self.crew.start()
        self._tasks = [
            asyncio.create_task(self._dispatch(), name="limner-dispatch"),
            asyncio.create_task(self._watch(), name="limner-watch"),
        ]
        self.wake()
        return resumed

    def drain(self, grace: float) -> float:
        """Hand out nothing more. When what runs must be done (monotonic): ``grace`` seconds after the first call."""
        self.draining = True
        self._until = time.monotonic() + grace if self._until is None else self._until
        return self._until

    async def stop(self, grace: float) -> None:
        """Wait for what runs to the end that ``drain`` set, leave the rest in the queue, unspent."""
        end = self.drain(grace)
        while any(not each.over for each in self.running.values()) and time.monotonic() < end:
            await asyncio.sleep(0.05)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._closing = True
        left_over = max(0.0, end - time.monotonic()) + LAST
        late = asyncio.get_running_loop().call_later(left_over, self.crew.replace, "the server ends before its step")
        try:
            await self.crew.close()
            late.cancel()
            for name in [name for name, each in self.running.items() if each.stopped is not None]:
                await self.do(self.queue.end, name, "cancelled")
            left = await self.do(self.queue.running)
            await self.do(put_back, self.queue, self._library, left, undone=True)
        finally:
            self.hub.close()
            self._alive.release()

    def wake(self) -> None:
        """There is something to hand out."""
        self._wake.set()

    async def cancel(self, name: str) -> None:
        """Stop a job: a waiting one at once, a running one at its next step."""
        async with self._turn:
            running = self.running.get(name)
            if running is None:
                if await self.do(self.queue.end, name, "cancelled"):
                    self.hub.tell(name, "cancelled")
                    self.wake()
            elif running.stopped is None:
                running.stopped = time.monotonic()
                await self.crew.send(Frame("stop", {"job": name}))

    def _recover(self) -> int:
        """Jobs that were running when the last server died go back to the line; their stored pictures are theirs."""
        back, lost = put_back(self.queue, self._library, self.queue.running())
        for job in lost:
            self.queue.end(job.id, "failed", error=spent(job, "each time the server was killed too"))
        self.queue.forget(time.time() - HISTORY)
        return len(back)

    async def _dispatch(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.crew.wait_ready()
            try:
                while await self._hand_out():
                    pass
            except LimnerError as error:
                log.warning("the queue cannot be read or written: %s", error.message)
                await asyncio.sleep(RETRY)
                self._wake.set()

    async def _hand_out(self) -> bool:
        """The head of the line, to the worker. False where nothing can be begun now."""
        async with self._turn:
            if self.draining or not self.crew.ready or len(self.running) >= self._options.at_once:
                return False
            if any(each.suspect for each in self.running.values()):
                return False
            studying = any(each.kind in STUDIES for each in self.running.values())
            head = await self.do(self.queue.next, STUDIES if studying else ())
            if head is None or (started := await self.do(self.queue.start, head.id)) is None:
                return False
            if not self.running:
                self.rate.began()
            self.running[head.id] = Running(head.kind, time.monotonic(), suspect=head.deaths > 0)
            made: Mapping[str, JsonValue] = {str(place): picture for place, picture in started.made.items()}
            data = {"job": head.id, "ask": cast(JsonValue, started.ask.model_dump(mode="json")), "made": dict(made)}
            if not await self.crew.send(Frame("run", data)):
                del self.running[head.id]  # it never began
                await self.do(self.queue.again, head.id, undone=True)
                return False
            self.hub.tell(head.id, "started", {"attempt": started.attempt})
            return True

    async def _heard(self, frame: Frame) -> None:
        name = str(frame.data.get("job"))
        if name not in self.running:
            return
        if frame.type == "tiding":
            await self._tell(name, frame)
        elif frame.type == "end":
            async with self._turn:
                await self._ended(name, frame)

    async def _tell(self, name: str, frame: Frame) -> None:
        kind, data = frame.data.get("what"), frame.data.get("data")
        if not isinstance(data, dict) or kind in OVER:
            raise ValueError(f"a tiding {kind} of {data}")
        running = self.running[name]
        if kind == "made" and data.get("picture") is not None:
            await self._surely(self.queue.made, name, int(str(data["index"])), str(data["picture"]))
            self.rate.done()
            if running.suspect:
                running.suspect = False
                self.wake()
        elif kind == "warned":
            notice = Notice(code=str(data["code"]), message=str(data["message"]))
            await self._surely(self.queue.warn, name, notice)
        if not running.over:
            self.hub.tell(name, cast(TidingType, kind), data, frame.blob or None)

    async def _ended(self, name: str, frame: Frame) -> None:
        state, error = cast(State, frame.data.get("state")), frame.data.get("error")
        if state not in OVER:
            raise ValueError(f"an end {state}")
        trouble = None if error is None else Trouble.model_validate(error)
        if (trace := frame.data.get("trace")) is not None:
            log.error("job %s broke: %s", name, trace, extra={"job": name})
        running = self.running[name]
        if frame.data.get("fatal"):
            self._guilty = self._guilty or (name, trouble)  # the process can do no more: this job's fault
            self.crew.replace(trouble.message if trouble else "fatal error")
            return
        if self._closing and state != "done" and running.stopped is None:
            return  # it was not the user who stopped it: it goes back to the line
        del self.running[name]
        if not running.over:
            await self._end(name, state, trouble, cast("Body | None", frame.data.get("result")))
        self.wake()

    async def _died(self, reason: str) -> None:
        """Every job that ran goes back to the head of the line, or is over where it was to blame before."""
        async with self._turn:
            lost, self.running = self.running, {}
            suspects = [name for name, each in lost.items() if each.suspect]
            (guilty, why), self._guilty = self._guilty or (None, None), None
            died = [guilty] if guilty is not None else suspects or list(lost)
            for name, each in lost.items():
                if each.stopped is not None and not each.over:
                    await self._end(name, "cancelled")
            left = [name for name, each in lost.items() if each.stopped is None and not each.over]
            back, over = await self._surely(put_back, self.queue, self._library, left, died=died)
            for name in back:
                self.hub.tell(name, "restarted", {"reason": reason})
            for job in over:
                await self._end(job.id, "failed", (why if job.id == guilty else None) or spent(job, reason))
        self.wake()

    async def _end(self, name: str, state: State, trouble: Trouble | None = None, result: Body | None = None) -> None:
        if await self._surely(self.queue.end, name, state, error=trouble, result=result):
            self.hub.tell(name, cast(TidingType, state), {} if trouble is None else trouble.model_dump(mode="json"))

    async def _surely(self, call: Callable[..., T], *given: object, **named: object) -> T:
        """As ``do``; while the disk refuses, nothing goes on."""
        while True:
            try:
                return await self.do(call, *given, **named)
            except LimnerError as error:
                log.warning("the queue cannot be written: %s", error.message)
                await asyncio.sleep(RETRY)

    async def _watch(self) -> None:
        """Deadlines, jobs that do not stop, probation, and what is too old to be remembered."""
        swept = time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            try:
                for name in await self.do(self.queue.overdue, time.time()):
                    await self._expire(name)
                await self._look()
                if time.monotonic() - swept > HOUR:
                    swept = time.monotonic()
                    await self.do(self.queue.forget, time.time() - HISTORY)
            except LimnerError as error:
                log.warning("the queue cannot be read or written: %s", error.message)

    async def _expire(self, name: str) -> None:
        """Nobody wants it any more. It is over at once; the worker stops at its next step."""
        trouble = Trouble(code="deadline", message="the deadline passed before it was done", retry=True)
        async with self._turn:
            await self._end(name, "failed", trouble)
            if (running := self.running.get(name)) is not None:
                running.over, running.stopped = True, running.stopped or time.monotonic()
                await self.crew.send(Frame("stop", {"job": name}))
        self.wake()

    async def _look(self) -> None:
        now = time.monotonic()
        async with self._turn:
            for name, each in self.running.items():
                if each.suspect and now - each.since > PROBATION:
                    each.suspect = False
                    self.wake()
                if each.stopped is not None and now - each.stopped > self._options.patience:
                    self._guilty = (name, None)
                    self.crew.replace(f"job {name} did not stop within {self._options.patience:.0f} seconds")
                    return
