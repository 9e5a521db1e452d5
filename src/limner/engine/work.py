"""Work for the engine's thread that is no drawing: a scorer's batch, say."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Work(Generic[T]):
    """A callable and the Future of its answer. Whatever it raises is the Future's, never the thread's."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.future: Future[T] = Future()
        self._call = call

    def run(self, worded: Callable[[Exception], Exception] = lambda error: error) -> None:
        """On the engine's thread; nothing where it was cancelled meanwhile. ``worded`` puts an error into our words."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            answer = self._call()
        except Exception as error:
            self.future.set_exception(worded(error))
        else:
            self.future.set_result(answer)

    def refuse(self, error: Exception) -> None:
        """It will not be run."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)
