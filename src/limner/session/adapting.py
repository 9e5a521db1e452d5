"""What is laid over a checkpoint for one request: the adapters its fields and words name, and their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from limner.config import Settings
from limner.types import Adapter, Notice, Request


@dataclass(frozen=True, slots=True)
class Laid:
    """The request without the words that named adapters, the adapters, their files by hash, and what to say."""

    request: Request
    adapters: tuple[Adapter, ...] = ()
    extras: Mapping[str, Path] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()


def lay_over(request: Request, settings: Settings) -> Laid:
    """Find the adapters that a request names."""
    return Laid(request)


def files_of(adapters: tuple[Adapter, ...], settings: Settings) -> Mapping[str, Path]:
    """Where the adapters of a Plan made elsewhere lie here, by hash."""
    return {}
