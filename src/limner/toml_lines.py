"""Where the keys of a TOML text stand, which tomllib does not tell. Best effort, for messages only."""

from __future__ import annotations

import re
from collections.abc import Mapping

HEADER = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+\s*(?:#.*)?$")
KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")


def key_lines(text: str) -> Mapping[str, int]:
    """Dotted key (``models.sd15.steps``) or section (``models.sd15``) to its first line, counted from 1.

    Sections count with each of their parents. Lines inside multi-line strings may be taken for keys; a key found first
    wins, so that real keys before them keep their lines.
    """
    lines: dict[str, int] = {}
    section: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := HEADER.match(line):
            section = _parts(header[1])
            found = section
        elif key := KEY.match(line):
            found = (*section, *_parts(key[1]))
        else:
            continue
        for length in range(1, len(found) + 1):
            lines.setdefault(".".join(found[:length]), number)
    return lines


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in re.findall(r"""\s*("[^"]*"|'[^']*'|[^.]+)""", dotted))
