"""What a language model answered, checked before it is drawn: empty, the same again, too long, or talk about itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import SequenceMatcher

LONGEST = 600
"""Characters of a rewrite beyond four times the user's own."""
_LEADING = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.):]|(?:prompt|rewrite|answer)\s*\d*\s*:)\s*", re.IGNORECASE)
_QUOTES = "\"'“”„`"
_TALK = re.compile(
    r"^(?:i'?m sorry|sorry,|as an ai|i can(?:'|no)t|i am unable|here (?:are|is)\b.*:$"
    r"|(?:sure|certainly|of course)[,!])",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def cleaned(line: str) -> str:
    """A line of an answer without its number, bullet and quotation marks."""
    text = _LEADING.sub("", line.strip())
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1]
    return " ".join(text.split())


def fault(text: str, own: str) -> str | None:
    """Why a rewrite of ``own`` is none; ``None`` for one that can be drawn."""
    if not text.strip():
        return "it answered nothing"
    if _CONTROL.search(text):
        return "it answered control characters"
    if _same(text, own):
        return "it answered your own words again"
    if len(text) > 4 * len(own) + LONGEST:
        return f"it answered {len(text):,} characters, which no picture can hold"
    if _TALK.match(text):
        return f"it talked instead of rewriting: {text[:40]!r}"
    if _repeats(text):
        return f"it repeated itself: {text[:40]!r}"
    return None


def usable(text: str, own: str, warn: Callable[[str], None]) -> str | None:
    """The rewrite, cleaned; ``None`` for nonsense, which is told."""
    found = cleaned(text)
    why = fault(found, own)
    if why is not None:
        warn(f"language model: {why}")
        return None
    return found


def _same(text: str, own: str) -> bool:
    a, b = (re.sub(r"[\W_]+", " ", each.casefold()).strip() for each in (text, own))
    return a == b or (len(a) > 40 and SequenceMatcher(None, a, b).ratio() > 0.995)


def _repeats(text: str) -> bool:
    words = text.casefold().split()
    return len(words) >= 12 and len(set(words)) <= len(words) / 4
