"""Pictures that were deleted a moment ago and can still be had back: nothing is gone before the time is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from limner.errors import LimnerError, PictureNotFound
from limner.library.store import Library

log = logging.getLogger("limner.serve")
UNDO = 10.0  # seconds


class Doomed:
    """Of one event loop. ``ids`` are to be hidden everywhere. At the end of the server they are deleted at once."""

    def __init__(self, library: Library, undo: float = UNDO) -> None:
        self._library, self.undo = library, undo
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self._tasks)

    async def delete(self, ids: Iterable[str]) -> float:
        """Delete pictures ``undo`` seconds from now; returns that time. Raises ``PictureNotFound``."""
        names = [name for name in ids if name not in self._tasks]
        for name in names:
            await asyncio.to_thread(self._library.get, name)
        for name in names:
            self._tasks[name] = asyncio.create_task(self._later(name), name=f"limner-delete-{name}")
        return self.undo

    def restore(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Take deletions back; those that came in time."""
        found = [(name, self._tasks.pop(name, None)) for name in ids]
        for _, task in found:
            if task is not None:
                task.cancel()
        return tuple(name for name, task in found if task is not None)

    async def close(self) -> None:
        """Delete what waits for it."""
        waiting, self._tasks = self._tasks, {}
        for name, task in waiting.items():
            task.cancel()
            await asyncio.to_thread(self._gone, name)

    async def _later(self, name: str) -> None:
        await asyncio.sleep(self.undo)
        await asyncio.shield(asyncio.to_thread(self._gone, name))
        self._tasks.pop(name, None)

    def _gone(self, name: str) -> None:
        with contextlib.suppress(PictureNotFound):  # somebody else was quicker
            try:
                self._library.delete([name])
            except PictureNotFound:
                raise
            except LimnerError as error:
                log.error("picture %s could not be deleted: %s", name, error.message)  # noqa: TRY400
