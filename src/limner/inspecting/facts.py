"""Labelled facts, and bytes and times in words."""

from __future__ import annotations

from datetime import datetime

Fact = tuple[str, object]
"""A label, and what is to be said; ``None`` or nothing is left out."""


def size(count: int | None) -> str:
    """Bytes for people: 512 B, 44 kB, 4.3 MB, 5.2 GB (powers of 1000); empty where not known."""
    if count is None:
        return ""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 10 and unit not in ("B", "kB") else f"{value:.0f} {unit}"


def seconds(low: float | None, about: float | None, high: float | None) -> str:
    """``about 3 min (1 min to 9 min)``."""
    if about is None:
        return "not known"
    between = f" ({duration(low)} to {duration(high)})" if low is not None and high is not None else ""
    return f"about {duration(about)}{between}"


def duration(value: float) -> str:
    """Seconds for people: ``0.4 s``, ``12 s``, ``3 min``, ``2.5 h``."""
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 119.5:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def when(created: str, *, seconds: bool = False) -> str:
    """A stored time (ISO 8601, UTC) in local time; as it stands where it is none."""
    try:
        local = datetime.fromisoformat(created).astimezone()
    except (ValueError, OverflowError):
        return created
    return local.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")
