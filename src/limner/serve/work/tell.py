"""The worker's side of a job under way: telling what happens, and hearing that it should stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from limner.errors import Cancelled
from limner.serve.jobs import Ask, TidingType

Send = Callable[[TidingType, Mapping[str, JsonValue], bytes], None]


@dataclass
class Work:
    """One job: what was asked, which pictures a former attempt made (place -> id), and the way to tell."""

    job: str
    ask: Ask
    made: Mapping[int, str]
    send: Send
    _stop: threading.Event = field(default_factory=threading.Event)
    _on_stop: list[Callable[[], None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, type: TidingType, preview: bytes = b"", **data: JsonValue) -> None:
        self.send(type, data, preview)

    def stop(self) -> None:
        """Called from another thread: end soon."""
        with self._lock:
            self._stop.set()
            calls = list(self._on_stop)
        for call in calls:
            call()

    def on_stop(self, call: Callable[[], None]) -> None:
        """``call`` when the job should stop; at once where it should already."""
        with self._lock:
            self._on_stop.append(call)
            late = self._stop.is_set()
        if late:
            call()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def check(self) -> None:
        """Raises ``Cancelled`` where the job should stop."""
        if self.stopping:
            raise Cancelled("the job was cancelled")
