"""What happens to jobs, told to everybody who listens; slow listeners lose previews."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator

from limner.serve.jobs import Body, Tiding, TidingType

KEPT = 2_000  # tidings that a listener who comes back can be told again
ROOM = 500  # tidings a listener may lag behind


class Hub:
    """Of one event loop. ``tell`` never waits."""

    def __init__(self) -> None:
        self._seq = 0
        self._kept: deque[Tiding] = deque(maxlen=KEPT)
        self._listeners: set[asyncio.Queue[Tiding]] = set()

    @property
    def seq(self) -> int:
        """The number of the last tiding."""
        return self._seq

    def tell(self, job: str, type: TidingType, data: Body | None = None, preview: bytes | None = None) -> Tiding:
        self._seq += 1
        tiding = Tiding(self._seq, job, type, data or {}, preview)
        if type != "step":
            self._kept.append(tiding)  # steps are many, and each is replaced by the next
        for line in self._listeners:
            if line.qsize() >= ROOM and type == "step":
                continue
            line.put_nowait(tiding)
        return tiding

    async def listen(self, job: str | None = None, after: int | None = None) -> AsyncIterator[Tiding]:
        """Tidings of one job, or of all, without end; first those after number ``after`` that are still known."""
        with self._line() as line:
            if after is not None:
                for tiding in [each for each in self._kept if each.seq > after]:
                    if job in (None, tiding.job):
                        yield tiding
                        after = tiding.seq
            while True:
                tiding = await line.get()
                if job in (None, tiding.job) and (after is None or tiding.seq > after):
                    yield tiding

    @contextlib.contextmanager
    def _line(self) -> Iterator[asyncio.Queue[Tiding]]:
        line: asyncio.Queue[Tiding] = asyncio.Queue()
        self._listeners.add(line)
        try:
            yield line
        finally:
            self._listeners.discard(line)
