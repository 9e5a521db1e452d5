"""A job at the worker, as the dispatch remembers it."""

from __future__ import annotations

from dataclasses import dataclass

from limner.serve.jobs import Kind


@dataclass(slots=True)
class Running:
    """A job at the worker. ``since``: when it was begun, ``stopped``: when it was told to stop (both monotonic).

    ``over``: the queue has its end already, and the worker has not."""

    kind: Kind
    since: float
    suspect: bool = False
    stopped: float | None = None
    over: bool = False
