"""Where a Plan is run. ``Local`` runs it in this process: one thread owns the engine and calls torch."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Protocol

from limner.engine.threads import wait_passively
from limner.engine.ticket import Locate, Ticket
from limner.types import Plan, Queued

if TYPE_CHECKING:
    from limner.engine.desk import Desk


class Backend(Protocol):
    """Runs Plans as they are."""

    def submit(self, plan: Plan, *, previews: bool = False) -> Ticket: ...

    def close(self) -> None:
        """Cancel what runs and let go of everything."""
        ...


class Local:
    """In this process. torch is imported on the engine's thread as soon as there is one; the caller plans meanwhile."""

    def __init__(self, locate: Locate) -> None:
        self._locate = locate
        self._inbox: queue.SimpleQueue[Ticket | str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Start the thread, which begins to import torch."""
        with self._lock:
            if self._thread is None:
                wait_passively()
                self._thread = threading.Thread(target=self._work, name="limner-engine", daemon=True)
                self._thread.start()

    def submit(self, plan: Plan, *, previews: bool = False) -> Ticket:
        ticket = Ticket(plan, previews, self._inbox.put)
        ticket.tell(Queued(len(plan.seeds)))
        self._inbox.put(ticket)
        self.warm()
        return ticket

    def close(self) -> None:
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._inbox.put(None)
            thread.join(timeout=60)

    def _work(self) -> None:
        from limner.engine.desk import Desk

        desk = Desk(self._locate)
        while self._take(desk):
            desk.step()
        desk.close()

    def _take(self, desk: Desk) -> bool:
        """Move what arrived to the desk; waits while there is nothing to compute. False when asked to stop."""
        while True:
            try:
                item = self._inbox.get(block=desk.idle)
            except queue.Empty:
                return True
            if item is None:
                return False
            if isinstance(item, str):
                desk.cancel(item)
            else:
                desk.accept(item)
