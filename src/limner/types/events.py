"""What is told while pictures are made: Events, and what a backend answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from limner.types.base import Notice, Pixels
from limner.types.record import Record


@dataclass(frozen=True, slots=True)
class Queued:
    """Accepted; ``n`` pictures will be made."""

    n: int


@dataclass(frozen=True, slots=True)
class Loading:
    """Weights of ``part`` are being read."""

    model: str
    part: str


@dataclass(frozen=True, slots=True)
class Step:
    """Image ``index`` has done ``step`` of ``steps``; ``preview`` is a small picture where one was asked for."""

    index: int
    step: int
    steps: int
    preview: Pixels | None = None


@dataclass(frozen=True, slots=True)
class Warned:
    notice: Notice
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A backend's answer for image ``index``: pixels and how they were made. The Session turns it into a ``Made``."""

    index: int
    pixels: Pixels
    facts: Facts


@dataclass(frozen=True, slots=True)
class Facts:
    """What only the machine that drew knows: it becomes part of the Record."""

    device_name: str
    threads: int
    timings: Mapping[str, float]
    peak_bytes: int | None
    versions: Mapping[str, str]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """Image ``index`` is finished and, where there is a library, stored. ``path`` is ``None`` where nothing is kept."""

    index: int
    image: Picture


@dataclass(frozen=True, slots=True)
class Done:
    images: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    error: Exception
    images: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancelled:
    images: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One finished image: pixels, birth Record, and where it is kept."""

    pixels: Pixels
    record: Record
    id: str | None = None
    path: str | None = None


Event: TypeAlias = Queued | Loading | Step | Warned | Made | Done | Failed | Cancelled
