"""Where a Plan is run. ``Local`` runs it in this process: one thread owns the engine and calls torch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, TypeVar

from limner.engine.threads import wait_passively
from limner.engine.ticket import PATIENCE, Locate, Ticket
from limner.engine.work import Work
from limner.errors import GenerationError
from limner.types import Failed, Plan, Queued

if TYPE_CHECKING:
    from limner.engine.desk import Desk

T = TypeVar("T")


class Backend(Protocol):
    """Runs Plans as they are."""

    def submit(self, plan: Plan, *, previews: bool = False) -> Ticket: ...

    def compute(self, call: Callable[[], T]) -> Future[T]:
        """Run ``call`` where torch may be called, between two steps of what is being drawn; keep it short, and cut what
        is long into several. What it raises is the Future's."""
        ...

    def close(self) -> None:
        """Cancel what runs and let go of everything."""
        ...


class Local:
    """In this process. torch is imported on the engine's thread as soon as there is one; the caller plans meanwhile."""

    def __init__(self, locate: Locate) -> None:
        self._locate = locate
        self._inbox: queue.SimpleQueue[Ticket | Work[object] | str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ended: Exception | None = None
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Start the thread, which begins to import torch. Raises ``GenerationError`` after it has ended."""
        with self._lock:
            self._start()

    def submit(self, plan: Plan, *, previews: bool = False) -> Ticket:
        ticket = Ticket(plan, previews, self._inbox.put)
        ticket.tell(Queued(len(plan.seeds)))
        with self._lock:  # so that no ticket is put in after the thread has answered the last
            self._start()
            self._inbox.put(ticket)
        return ticket

    def compute(self, call: Callable[[], T]) -> Future[T]:
        work = Work(call)
        with self._lock:
            self._start()
            self._inbox.put(work)  # type: ignore[arg-type]  # nobody reads its answer here
        return work.future

    def close(self) -> None:
        with self._lock:
            self._ended = self._ended or _closed()
            thread = self._thread
        self._inbox.put(None)
        if thread is not None:
            thread.join(timeout=60)

    def _start(self) -> None:
        if self._ended is not None:
            raise self._ended
        if self._thread is None:
            wait_passively()
            # No daemon: a thread inside torch when the interpreter goes away aborts the process. It ends by itself
            # when the main thread has ended.
            self._thread = threading.Thread(target=self._work, name="limner-engine")
            self._thread.start()

    def _work(self) -> None:
        """The engine's thread. Whatever ends it, no ticket or work is left without an end."""
        error = _closed()
        try:
            from limner.engine.desk import Desk

            desk = Desk(self._locate, self._closing)
            while self._take(desk):
                desk.step()
            desk.close()
        except Exception as fault:
            error = GenerationError(f"the engine could not run: {type(fault).__name__}: {fault}", hint="limner doctor")
            error.__cause__ = fault
        with self._lock:
            self._ended = self._ended or error
        self._refuse(error)

    def _closing(self) -> bool:
        return self._ended is not None or not threading.main_thread().is_alive()

    def _refuse(self, error: Exception) -> None:
        while not self._inbox.empty():
            if isinstance(item := self._inbox.get(), Ticket):
                item.tell(Failed(error))
            elif isinstance(item, Work):
                item.refuse(error)

    def _take(self, desk: Desk) -> bool:
        """Move what arrived to the desk, one piece of work at most; waits while there is nothing to compute. False when
        it is time to stop."""
        while threading.main_thread().is_alive():
            try:
                item = self._inbox.get(timeout=PATIENCE) if desk.idle else self._inbox.get_nowait()
            except queue.Empty:
                if desk.idle:
                    continue
                return True
            if item is None:
                return False
            if isinstance(item, str):
                desk.cancel(item)
            elif isinstance(item, Work):
                desk.compute(item)
                return True  # a step comes before the next
            else:
                desk.accept(item)
        return False


def _closed() -> GenerationError:
    return GenerationError("the session is closed", hint="make a new Session")
