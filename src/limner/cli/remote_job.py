"""A job on a server, followed to its end: what happens to it, also over a connection that is lost and found again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from limner.cli.remote_http import LOST, Json, NoServer, Remote
from limner.errors import LimnerError

if TYPE_CHECKING:
    from pydantic import JsonValue

OVER = frozenset({"done", "failed", "cancelled"})
PATIENCE = 60.0  # seconds that a server may take to come back
PAUSE = 0.5


class RemoteJob:
    """``said`` is the job as the server described it last. Raises what the server refuses, and ``NoServer``."""

    def __init__(self, remote: Remote, body: Mapping[str, JsonValue]) -> None:
        """Asks for it. The key makes sure that it is accepted once, however often it must be asked for."""
        self.remote = remote
        self.said = remote.post("/api/v1/jobs", body, **{"idempotency-key": uuid4().hex})
        self.id = str(self.said["id"])

    def cancel(self) -> None:
        """Stop it at its next step. Called from a signal handler: says nothing."""
        with suppress(LimnerError):
            self.remote.post(f"/api/v1/jobs/{self.id}/cancel")

    def events(self, *, previews: bool = False) -> Iterator[tuple[str, Json]]:
        """(name, data) of all that happens. The first is ``state``, as is each after a lost connection, and the last,
        which is then ``said`` too."""
        path = f"/api/v1/jobs/{self.id}/events?previews={'true' if previews else 'false'}"
        until = time.monotonic() + PATIENCE
        while True:
            why: Exception | None = None
            try:
                for name, data in self.remote.events(path):
                    until = time.monotonic() + PATIENCE
                    if name == "state":
                        self.said = data
                    yield name, data
                    if name == "state" and data.get("state") in OVER:
                        return
            except LOST as error:
                why = error
            if time.monotonic() > until:
                raise NoServer(
                    f"the server at {self.remote.url} does not answer any more",
                    hint=f"the job goes on there when it is back: {self.remote.url}/api/v1/jobs/{self.id}",
                ) from why
            time.sleep(PAUSE)
