"""How fast work is done here, as measured: for Retry-After and the wait that a queue shows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

REMEMBERED = 50


class Rate:
    """Pieces a second, over the last fifty, counting only time in which something was under way."""

    def __init__(self, guess: float = 2.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._guess, self._clock = guess, clock
        self._gaps: deque[float] = deque(maxlen=REMEMBERED)
        self._last: float | None = None

    def began(self) -> None:
        """Work begins after there was none."""
        self._last = self._clock()

    def done(self) -> None:
        """One more piece."""
        now = self._clock()
        if self._last is not None:
            self._gaps.append(now - self._last)
        self._last = now

    @property
    def seconds_each(self) -> float:
        """Seconds a piece; a guess where nothing was done yet."""
        return sum(self._gaps) / len(self._gaps) if self._gaps else self._guess

    def wait(self, pieces: int) -> float:
        """Seconds until so many pieces are done."""
        return pieces * self.seconds_each
