"""The worker process as the server sees it: it crashes, hangs, talks nonsense, never starts; and is started again."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from limner.serve.crew import Crew
from limner.serve.wire import Frame

HEAD = """
import os, sys, time
from limner.serve.wire import Frame, packed, read
def say(frame): sys.stdout.buffer.write(packed(frame)); sys.stdout.buffer.flush()
"""
ECHO = """
say(Frame("ready"))
while (frame := read(sys.stdin.buffer)) is not None and frame.type != "close":
    say(Frame("tiding", {**frame.data}))
"""


class Told:
    """What a crew said."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.deaths: list[str] = []
        self.changed = asyncio.Event()

    async def heard(self, frame: Frame) -> None:
        if frame.data.get("burst"):
            raise KeyError("nobody can take this")
        self.frames.append(frame)
        self.changed.set()

    async def died(self, reason: str) -> None:
        self.deaths.append(reason)
        self.changed.set()

    async def until(self, *, frames: int = 0, deaths: int = 0) -> None:
        async with asyncio.timeout(20):
            while len(self.frames) < frames or len(self.deaths) < deaths:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def crew(
    code: str, silence: float = 20.0, pauses: Sequence[float] = (0.0,), command: Sequence[str] | None = None
) -> AsyncIterator[tuple[Crew, Told]]:
    told = Told()
    made = Crew(
        told.heard,
        told.died,
        command=command or (sys.executable, "-c", HEAD + code),
        silence=silence,
        pauses=pauses,
    )
    made.start()
    try:
        yield made, told
    finally:
        await made.close()


def test_frames_come_in_their_order() -> None:
    async def main() -> None:
        async with crew(ECHO) as (made, told):
            await made.wait_ready()
            for k in range(500):
                assert await made.send(Frame("run", {"k": k}))
            await told.until(frames=500)
            assert [frame.data["k"] for frame in told.frames] == list(range(500))
            assert made.starts == 1

    asyncio.run(main())


def test_a_killed_worker_is_told_once_and_another_one_started() -> None:
    async def main() -> None:
        async with crew(ECHO) as (made, told):
            for deaths in (1, 2):
                await made.wait_ready()
                assert made.pid is not None
                os.kill(made.pid, signal.SIGKILL)
                await told.until(deaths=deaths)
                assert told.deaths == ["signal 9"] * deaths
            await made.wait_ready()
            assert made.starts == 3
            assert made.trouble is None

    asyncio.run(main())


def test_why_it_never_starts_can_be_read_and_it_is_not_tried_without_a_pause() -> None:
    async def main() -> None:
        async with crew("raise ImportError('no such library')", pauses=(0.0, 0.0, 60.0)) as (made, told):
            await told.until(deaths=2)
            assert made.trouble == "exit code 1: ImportError: no such library"
            assert not made.ready
            await asyncio.sleep(0.3)
            assert made.starts == 2
            assert not await made.send(Frame("run", {}))

    asyncio.run(main())


def test_a_program_that_is_not_there_is_said() -> None:
    async def main() -> None:
        async with crew("", command=("/no/such/program",), pauses=(0.0, 60.0)) as (made, told):
            await told.until(deaths=1)
            assert made.trouble is not None
            assert made.trouble.startswith("it could not be started")

    asyncio.run(main())


def test_a_worker_that_is_silent_is_killed() -> None:
    async def main() -> None:
        async with crew("say(Frame('ready')); time.sleep(1000)", silence=0.5, pauses=(0.0, 60.0)) as (_, told):
            await told.until(deaths=1)
            assert "silent" in told.deaths[0]

    asyncio.run(main())


def test_a_worker_that_beats_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.serve.crew.GRACE", 0.3)

    async def main() -> None:
        code = "say(Frame('ready'))\nwhile True: time.sleep(0.1); say(Frame('beat'))"
        async with crew(code, silence=3.0) as (made, told):
            await made.wait_ready()
            await asyncio.sleep(3.3)
            assert told.deaths == []

    asyncio.run(main())


def test_a_worker_that_does_not_read_is_killed_and_send_says_so() -> None:
    async def main() -> None:
        code = "say(Frame('ready'))\nwhile True: time.sleep(0.05); say(Frame('beat'))"
        async with crew(code, silence=1.0, pauses=(0.0, 60.0)) as (made, told):
            await made.wait_ready()
            assert not await made.send(Frame("run", {"much": "x" * 3_000_000}))
            await told.until(deaths=1)

    asyncio.run(main())


@pytest.mark.parametrize(
    "words",
    [
        "b'hello, world, this is no frame'",
        "b'\\xff' * 8",
        "b'\\0\\0\\0\\2\\0\\0\\0\\0{}'",
        "b'\\0\\0\\0\\2\\0\\0\\0\\0[]'",
        "b'\\0\\0\\0\\2\\0\\0\\0\\0\\xff\\xff'",
        "packed(Frame('tiding', {'burst': True}))",
    ],
)
def test_nonsense_ends_the_worker_not_the_server(words: str) -> None:
    async def main() -> None:
        code = f"say(Frame('ready')); sys.stdout.buffer.write({words}); sys.stdout.buffer.flush(); time.sleep(1000)"
        async with crew(code, pauses=(0.0, 60.0)) as (_, told):
            await told.until(deaths=1)
            assert "nonsense" in told.deaths[0]

    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(main())
    finally:
        logging.disable(logging.NOTSET)


def test_a_worker_that_closes_its_output_and_stays_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.serve.crew.GRACE", 0.3)

    async def main() -> None:
        code = "say(Frame('ready')); os.close(1); time.sleep(1000)"
        async with crew(code, pauses=(0.0, 60.0)) as (_, told):
            await told.until(deaths=1)
            assert told.deaths == ["signal 9"]

    asyncio.run(main())


def test_a_worker_that_does_not_end_when_asked_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.serve.crew.GRACE", 0.3)

    async def main() -> None:
        async with crew("say(Frame('ready'))\nwhile True: time.sleep(1)") as (made, told):
            await made.wait_ready()
            pid = made.pid
            await made.close()
            assert made.pid is None
            assert pid is not None
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
            assert told.deaths == []

    asyncio.run(main())


def test_closing_while_it_pauses_between_two_starts_waits_for_neither() -> None:
    """The pause is longer than a test may take."""

    async def main() -> None:
        async with crew("sys.exit(3)", pauses=(0.0, 600.0)) as (_, told):
            await told.until(deaths=1)

    asyncio.run(main())


@pytest.mark.parametrize("loops", range(12))
def test_closing_while_a_process_is_being_started_leaves_none(loops: int) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), crew(ECHO):
            for _ in range(loops):
                await asyncio.sleep(0)

    asyncio.run(main())


def test_what_it_writes_for_people_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with crew("print('half\\rdone', file=sys.stderr)\nsys.exit(3)", pauses=(0.0, 60.0)) as (made, told):
            await told.until(deaths=1)
            assert made.trouble == "exit code 3: done"

    with caplog.at_level(logging.INFO, "limner.worker"):
        asyncio.run(main())
    assert [each.message for each in caplog.records if each.name == "limner.worker"][:2] == ["half", "done"]
