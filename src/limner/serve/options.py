"""How a server is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limner.serve.crew import COMMAND, SILENCE

AT_ONCE = 16  # jobs that share the engine
PATIENCE = 300.0  # seconds that a job may take to stop: a step of a large model on a CPU


@dataclass(frozen=True)
class Options:
    """How a server is run. ``most_waiting``: pictures in the queue. ``command``: the worker process. ``silence`` and
    ``patience``: seconds after which a worker that says nothing, or does not stop a job, is replaced."""

    most_waiting: int = 200
    at_once: int = AT_ONCE
    command: Sequence[str] = COMMAND
    environment: Mapping[str, str] | None = None
    offline: bool | None = None
    silence: float = SILENCE
    patience: float = PATIENCE
