"""A submitted Plan and what is told about it, across the border between threads."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

from limner.types import Cancelled, Done, Drawn, Failed, Loading, Plan, Queued, Step, Warned

if TYPE_CHECKING:
    from limner.models.family import Family, Files

PATIENCE = 0.2  # seconds

Tiding: TypeAlias = "Queued | Loading | Step | Warned | Drawn | Done | Failed | Cancelled"
Locate: TypeAlias = "Callable[[Plan], tuple[Family, Files]]"


class Ticket:
    """One submitted Plan: an iterator of what happens to it, ending with Done, Failed or Cancelled."""

    def __init__(self, plan: Plan, previews: bool, cancel: Callable[[str], None]) -> None:
        self.id = uuid4().hex
        self.plan = plan
        self.previews = previews
        self.cancelling = False
        self._cancel = cancel
        self._tidings: queue.SimpleQueue[Tiding] = queue.SimpleQueue()

    def tell(self, tiding: Tiding) -> None:
        self._tidings.put(tiding)

    def cancel(self) -> None:
        """Stop at the next step; what is finished stays."""
        self.cancelling = True  # seen at once, also by an engine inside a Call, which reads no messages
        self._cancel(self.id)

    def __iter__(self) -> Iterator[Tiding]:
        while True:
            try:
                # Not without end: a wait that never wakes cannot be interrupted by Ctrl-C on every system.
                tiding = self._tidings.get(timeout=PATIENCE)
            except queue.Empty:
                continue
            yield tiding
            if isinstance(tiding, Done | Failed | Cancelled):
                return
