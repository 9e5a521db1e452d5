"""What happens to jobs, told to everybody who listens; slow listeners lose previews, dead ones are let go."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator

from limner.serve.jobs import Body, Tiding, TidingType

KEPT = 2_000  # tidings that a listener who comes back can be told again
ROOM = 200  # tidings a listener may lag behind before steps are left out
MOST = 5_000  # tidings after which nobody listens any more

Line = asyncio.Queue["Tiding | None"]


class Hub:
    """Of one event loop. ``tell`` never waits.

    Numbers begin at the time, in milliseconds: those of a server are above all that an earlier one gave.
    """

    def __init__(self) -> None:
        self._seq = self._first = time.time_ns() // 1_000_000
        self._kept: deque[Tiding] = deque(maxlen=KEPT)
        self._listeners: dict[str | None, set[Line]] = {}
        self._closed = False

    @property
    def seq(self) -> int:
        """The number of the last tiding."""
        return self._seq

    def knows(self, after: int) -> bool:
        """Whether all that happened after number ``after`` can still be told (steps aside, which are never told
        again)."""
        forgotten = self._kept[0].seq - 1 if len(self._kept) == KEPT else self._first
        return forgotten <= after <= self._seq

    def last(self, job: str, type: TidingType) -> Tiding | None:
        """The newest tiding of a kind of a job, while it is remembered."""
        return next((each for each in reversed(self._kept) if each.job == job and each.type == type), None)

    def tell(self, job: str, type: TidingType, data: Body | None = None, preview: bytes | None = None) -> Tiding:
        self._seq += 1
        tiding = Tiding(self._seq, job, type, data or {}, preview)
        if type != "step":
            self._kept.append(tiding)  # steps are many, and each is replaced by the next
        for line in (*self._listeners.get(None, ()), *self._listeners.get(job, ())):
            waiting = line.qsize()
            if waiting >= MOST:
                _end(line)
            elif type != "step" or waiting < ROOM:
                line.put_nowait(tiding)
        return tiding

    async def listen(self, job: str | None = None, after: int | None = None) -> AsyncIterator[Tiding]:
        """Tidings of one job, or of all, to the end of the server; first those after number ``after`` that are still
        known. Ends early for a listener who lags behind by thousands."""
        with self._line(job) as line:
            told = self._seq if after is None else after
            for tiding in [each for each in self._kept if each.seq > told]:
                if job in (None, tiding.job):
                    yield tiding
                    told = tiding.seq
            while (next := await line.get()) is not None:
                if next.seq > told:
                    yield next

    def close(self) -> None:
        """Nothing more will happen: whoever listens is let go."""
        self._closed = True
        for lines in self._listeners.values():
            for line in lines:
                line.put_nowait(None)

    @contextlib.contextmanager
    def _line(self, job: str | None) -> Iterator[Line]:
        line: Line = asyncio.Queue()
        if self._closed:
            line.put_nowait(None)
        self._listeners.setdefault(job, set()).add(line)
        try:
            yield line
        finally:
            self._listeners[job].discard(line)
            if not self._listeners[job]:
                del self._listeners[job]


def _end(line: Line) -> None:
    """Empty it and let its listener go; who comes back says what it heard last."""
    while not line.empty():
        line.get_nowait()
    line.put_nowait(None)
