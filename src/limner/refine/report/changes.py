"""What was changed in a text, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

_WORD = re.compile(r"\s+|[^\s,.;:()\[\]]+|[,.;:()\[\]]")


class Piece(NamedTuple):
    """A stretch of text that is in both, only in the first (``out``), or only in the second (``new``)."""

    kind: Literal["same", "out", "new"]
    text: str


def changes(before: str, after: str) -> tuple[Piece, ...]:
    """``before`` with its words struck out and ``after``'s put in; joined, the pieces but ``out`` are ``after``."""
    a, b = _WORD.findall(before), _WORD.findall(after)
    found: list[Piece] = []
    for what, i, j, k, m in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if what == "equal":
            found.append(Piece("same", "".join(a[i:j])))
            continue
        if i < j:
            found.append(Piece("out", "".join(a[i:j])))
        if k < m:
            found.append(Piece("new", "".join(b[k:m])))
    return tuple(found)
