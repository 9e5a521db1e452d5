"""Prompts for models that read words only: is there notation of Limner's or A1111's among them?"""

from __future__ import annotations

from collections.abc import Iterable

from limner.prompts import syntax
from limner.types import Notice


def as_words(model: str, texts: Iterable[str]) -> tuple[Notice, ...]:
    """What to say where weights, breaks or schedules stand in the texts, which ``model`` takes for words."""
    if not any(_has_syntax(text) for text in texts):
        return ()
    message = f"{model} does not know (word:1.2), [a:b:0.5] or BREAK: they are read as words"
    return (Notice(code="syntax-as-words", message=message),)


def _has_syntax(text: str) -> bool:
    staged = syntax.schedule(text, 20)
    pieces = syntax.parse_weights(staged[0].text)
    return len(staged) > 1 or "".join(getattr(piece, "text", "") for piece in pieces) != text
