"""Facts one under the other, ``label  value``, where one thing is shown whole; bytes and times in words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import datetime

from limner.cli.console import clean, homely, out, wrapped

Fact = tuple[str, object]


def sheet(facts: Iterable[Fact], *, heading: str = "") -> None:
    """Print labelled facts on stdout; those whose value is ``None`` or empty are left out, lines are kept apart.

    In a terminal lines are wrapped at words, and the home folder is ~.
    """
    said = [(label, text) for label, value in facts if (text := "" if value is None else clean(str(value)).rstrip())]
    if not said:
        return
    if heading:
        out(f"\n{clean(heading)}")
    width = max(len(label) for label, _ in said)
    for label, text in said:
        if sys.stdout.isatty():
            text = wrapped(homely(text), taken=width + 4)
        first, *rest = text.splitlines()
        out(f"  {label:<{width}}  {first}")
        for line in rest:
            out(f"  {'':<{width}}  {line}")


def out_json(value: object) -> None:
    """One JSON value on stdout, indented; what UTF-8 cannot hold (odd file names) is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    out(text if text.isprintable() or _encodable(text) else json.dumps(value, indent=2, default=str))


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


def count(number: int, thing: str, things: str = "") -> str:
    """``1 picture``, ``1,204 pictures``."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
