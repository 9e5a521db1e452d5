"""The server's side of the worker process: start it, talk to it, notice that it died, start it again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from limner.serve.wire import PREFIX, Frame, lengths, packed, unpacked

log = logging.getLogger("limner.serve")

COMMAND = (sys.executable, "-m", "limner.serve.worker")
SILENCE = 120.0  # seconds without a beat: a long native call may hold Python's lock, a hang never ends
PAUSES = (0.0, 1.0, 5.0, 15.0)  # seconds before a restart, the more often it died in a row
GRACE = 10.0


class Crew:
    """One worker process, always. ``heard`` gets each frame, ``died`` a line that says how the process ended."""

    def __init__(
        self,
        heard: Callable[[Frame], Awaitable[None]],
        died: Callable[[str], Awaitable[None]],
        *,
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
        silence: float = SILENCE,
    ) -> None:
        self._heard, self._died = heard, died
        self._command, self._environment, self._silence = command, environment, silence
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._closing = False
        self._keeper: asyncio.Task[None] | None = None
        self._worked = False
        self.starts = 0

    @property
    def pid(self) -> int | None:
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    @property
    def ready(self) -> bool:
        return self._ready.is_set()

    def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep(), name="limner-crew")

    async def wait_ready(self) -> None:
        await self._ready.wait()

    async def send(self, frame: Frame) -> bool:
        """False where there is no worker to hear it."""
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None:
            return False
        try:
            process.stdin.write(packed(frame))
            await process.stdin.drain()
        except (ConnectionError, RuntimeError):
            return False
        return True

    async def replace(self, reason: str) -> None:
        """End this process and start another: it can do no further work."""
        log.warning("worker replaced: %s", reason)
        self._kill()

    async def close(self) -> None:
        """Let the worker finish what it does within a step, then end it."""
        self._closing = True
        await self.send(Frame("close"))
        process = self._process
        if process is not None and process.returncode is None:
            try:
                await asyncio.wait_for(process.wait(), GRACE)
            except TimeoutError:
                self._kill()
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _keep(self) -> None:
        deaths = 0
        while True:
            await asyncio.sleep(PAUSES[min(deaths, len(PAUSES) - 1)])
            reason = await self._live()
            self._ready.clear()
            if self._closing:
                return
            deaths = 0 if self._worked else deaths + 1
            log.error("worker ended: %s", reason)
            await self._died(reason)

    async def _live(self) -> str:
        """One life of a worker process; why it ended."""
        self._worked = False
        environment = {**os.environ, **(self._environment or {})}
        pipe = asyncio.subprocess.PIPE
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, env=environment, start_new_session=True
            )
        except OSError as error:
            return f"it could not be started: {error}"
        self.starts += 1
        process = self._process
        assert process.stdout is not None
        try:
            while True:
                frame = await asyncio.wait_for(_frame(process.stdout), self._silence)
                if frame is None:
                    break
                if frame.type == "ready":
                    self._ready.set()
                elif frame.type != "beat":
                    self._worked = True
                    await self._heard(frame)
        except TimeoutError:
            self._kill()
            await process.wait()
            return f"it was silent for {self._silence:.0f} seconds and was killed"
        except ValueError as error:
            self._kill()
            await process.wait()
            return f"it spoke nonsense: {error}"
        except asyncio.CancelledError:
            self._kill()
            raise
        code = await process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


async def _frame(stream: asyncio.StreamReader) -> Frame | None:
    try:
        head, blob = lengths(await stream.readexactly(PREFIX))
        body = await stream.readexactly(head + blob)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return unpacked(body[:head], body[head:])
