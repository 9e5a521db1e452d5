"""How many pictures a queue holds and how many were promised a place in it: each counted once, at every moment."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Promise:
    """Room for ``n`` pictures that are about to be accepted."""

    def __init__(self, n: int) -> None:
        self.n = n


class Places:
    """Read by the event loop, moved on by the queue's own thread: a promise ends in the very moment in which what it
    was for is counted as held."""

    def __init__(self, held: int) -> None:
        self._lock = threading.Lock()
        self._held = held
        self._promised = 0

    @property
    def held(self) -> int:
        """Pictures that are accepted and not finished."""
        return self._held

    @property
    def taken(self) -> int:
        """Those and the promised ones."""
        with self._lock:
            return self._held + self._promised

    @contextlib.contextmanager
    def promised(self, n: int) -> Iterator[Promise]:
        """Nobody else gets the room for ``n`` pictures meanwhile; what was not kept by the end is free again."""
        promise = Promise(n)
        with self._lock:
            self._promised += n
        try:
            yield promise
        finally:
            with self._lock:
                self._end(promise)

    def count(self, held: int, kept: Promise | None = None) -> None:
        """So many are held now, those of ``kept`` among them."""
        with self._lock:
            self._held = held
            if kept is not None:
                self._end(kept)

    def _end(self, promise: Promise) -> None:
        self._promised -= promise.n
        promise.n = 0
