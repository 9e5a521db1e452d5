"""The server's side of the worker process: start it, talk to it, notice that it died, start it again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

from limner.serve.wire import PREFIX, Frame, lengths, packed, unpacked

log = logging.getLogger("limner.serve")
said = logging.getLogger("limner.worker")

COMMAND = (sys.executable, "-m", "limner.serve.worker")
SILENCE = 120.0  # seconds without a beat: a long native call may hold Python's lock, a hang never ends
PAUSES = (0.0, 1.0, 5.0, 15.0)  # seconds before a restart, the more often it died in a row
GRACE = 10.0
MOST_WORDS = 300  # characters of a line
WORDS = 40  # last lines that a worker wrote, for the log when it dies
_BUFFER = 2**20


class Crew:
    """One worker process, always. ``heard`` gets each frame in order, ``died`` a line that says how the process ended.

    ``inherited`` gives file descriptors that the process is to have. A frame that ``heard`` cannot take is nonsense of
    the worker's, which is then replaced.
    """

    def __init__(
        self,
        heard: Callable[[Frame], Awaitable[None]],
        died: Callable[[str], Awaitable[None]],
        *,
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
        silence: float = SILENCE,
        pauses: Sequence[float] = PAUSES,
        inherited: Callable[[], Sequence[int]] = tuple,
    ) -> None:
        self._heard, self._died, self._inherited = heard, died, inherited
        self._command, self._environment, self._silence, self._pauses = command, environment, silence, pauses
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._closing = False
        self._keeper: asyncio.Task[None] | None = None
        self._worked = False
        self._words: deque[str] = deque(maxlen=WORDS)
        self.starts = 0
        self.trouble: str | None = None
        """How the last process ended, until another is ready."""

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
        """False where there is no worker to hear it. True promises nothing: it may die before it reads."""
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None:
            return False
        try:
            process.stdin.write(packed(frame))
            await asyncio.wait_for(process.stdin.drain(), self._silence)
        except (ConnectionError, RuntimeError):
            return False
        except TimeoutError:  # it does not read
            self._kill()
            return False
        return True

    def replace(self, reason: str) -> None:
        """End this process and start another: it can do no further work. ``died`` is called as after any death."""
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
            if self._keeper is not None:  # the last frames are read to the end
                await asyncio.wait({self._keeper}, timeout=GRACE)
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
            await asyncio.sleep(self._pauses[min(deaths, len(self._pauses) - 1)])
            reason = await self._live()
            self._ready.clear()
            if self._closing:
                return
            self.trouble = reason
            deaths = 0 if self._worked else deaths + 1
            log.error("worker ended: %s%s", reason, "".join(f"\n  {line}" for line in self._words))
            try:
                await self._died(reason)
            except Exception:
                log.exception("what the worker left could not be put in order")  # it is, when the server starts again

    async def _live(self) -> str:
        """One life of a worker process; why it ended."""
        self._worked = False
        self._words.clear()
        try:
            process = self._process = await _whole(self._start())
        except OSError as error:
            return f"it could not be started: {error}"
        self.starts += 1
        assert process.stdout is not None
        assert process.stderr is not None
        relay = asyncio.create_task(self._relay(process.stderr), name="limner-worker-words")
        try:
            reason = await self._listen(process.stdout)
            if reason is None:  # it closed its output: it ends by itself, or it is ended
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), GRACE)
        finally:
            self._kill()
            await process.wait()
            await asyncio.wait({relay}, timeout=1.0)
            relay.cancel()
        return reason or _ended(process.returncode or 0, self._words[-1].strip() if self._words else "")

    async def _start(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env={**os.environ, **(self._environment or {})},
            start_new_session=True,
            pass_fds=self._inherited(),
            limit=_BUFFER,
        )

    async def _listen(self, stream: asyncio.StreamReader) -> str | None:
        """Hear frames to the end of the stream. What is wrong with them, if anything is."""
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(self._silence) as limit:
                while (frame := await _frame(stream)) is not None:
                    limit.reschedule(None)  # only silence counts, not the time in which it is not listened to
                    if frame.type == "ready":
                        self.trouble = None
                        self._ready.set()
                    elif frame.type != "beat":
                        self._worked = True
                        await self._heard(frame)
                    limit.reschedule(clock() + self._silence)
        except TimeoutError:
            return f"it was silent for {self._silence:.0f} seconds and was killed"
        except Exception as error:
            log.exception("a frame of the worker's cannot be understood")
            return f"it spoke nonsense: {type(error).__name__}: {error}"
        return None

    async def _relay(self, stream: asyncio.StreamReader) -> None:
        """What the worker and its libraries write for people goes to the log; the last line may say why it died."""
        rest = b""
        while chunk := await stream.read(_BUFFER):
            *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            for line in lines if len(rest) < _BUFFER else [*lines, rest]:
                self._wrote(line)
            rest = rest if len(rest) < _BUFFER else b""
        self._wrote(rest)

    def _wrote(self, line: bytes) -> None:
        if words := line.decode("utf-8", "replace").rstrip()[:MOST_WORDS]:
            self._words.append(words)
            said.info("%s", words)


async def _whole(starting: Coroutine[None, None, asyncio.subprocess.Process]) -> asyncio.subprocess.Process:
    """A process, or none: asyncio hangs where it is cancelled between starting one and connecting its pipes."""
    task = asyncio.ensure_future(starting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        process = await task
        process.kill()
        await process.wait()
        raise


def _ended(code: int, words: str) -> str:
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"{how}: {words}" if code and words else how


async def _frame(stream: asyncio.StreamReader) -> Frame | None:
    try:
        head, blob = lengths(await stream.readexactly(PREFIX))
        body = await stream.readexactly(head + blob)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return unpacked(body[:head], body[head:])
