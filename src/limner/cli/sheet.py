"""Facts one under the other, ``label  value``, where one thing is shown whole."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from limner.cli.console import clean, homely, out, wrapped
from limner.inspecting.facts import Fact, duration, seconds, size, when

__all__ = ["Fact", "count", "duration", "out_json", "seconds", "sheet", "size", "when"]


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


def count(number: int, thing: str, things: str = "") -> str:
    """``1 picture``, ``1,204 pictures``."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
