"""A user's words split into atoms by rules: the phrases that a picture either honours or forgets.

Prompts are no sentences, so the rules lean on the small word lists of ``limner lint``: a phrase ends at a comma, a
preposition or a joint. Words of other languages stay together between commas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from limner.prompts.lexicon import lexicon
from limner.prompts.syntax import Break, parse_weights

_TOKEN = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*|[,.;:!?\n]+", re.UNICODE)
_STOP = re.compile(r"[,.;:!?\n]+")
_INSIDE = frozenset({"of", "made", "as", "like"})
"""Prepositions that belong to their noun: a glass of wine."""
_BARE = frozenset({"a", "an", "the", "and", "or", "some", "this", "that"})
LONGEST = 4
"""Words of the longest preposition that is looked for."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One phrase, ``text[start:end]`` of the plain words. ``lead`` is the preposition before it ("in"), if any."""

    text: str
    start: int
    end: int
    lead: str = ""

    @property
    def said(self) -> str:
        """The phrase with its preposition."""
        return f"{self.lead} {self.text}".strip()


def plain(prompt: str) -> str:
    """The words without weights, brackets and BREAK: what pictures are scored against."""
    parts = [" " if isinstance(piece, Break) else piece.text for piece in parse_weights(prompt)]
    return " ".join("".join(parts).split())


def atoms(text: str) -> tuple[Atom, ...]:
    """The phrases of plain words, in order; the whole text where nothing splits it. Empty for a text without words."""
    tokens = [(match[0], match.start(), match.end()) for match in _TOKEN.finditer(text)]
    found: list[Atom] = []
    lead, start, end = "", -1, -1
    index = 0
    while index < len(tokens):
        size = _boundary([token.lower() for token, _, _ in tokens[index : index + LONGEST]])
        if size:
            found += _atom(text, lead, start, end)
            first = tokens[index]
            word = text[first[1] : tokens[index + size - 1][2]]
            lead, start = ("" if _is_stop(first[0]) else word), -1
        else:
            start, end = (tokens[index][1] if start < 0 else start), tokens[index][2]
        index += size or 1
    return (*found, *_atom(text, lead, start, end))


def _boundary(ahead: list[str]) -> int:
    """How many tokens from here are a boundary: 0 where a phrase goes on."""
    if _STOP.fullmatch(ahead[0]):
        return 1
    lex = lexicon()
    for size in range(len(ahead), 0, -1):
        phrase = " ".join(ahead[:size])
        if phrase in _INSIDE:
            return 0
        if lex.is_a(phrase, "prepositions", "joints"):
            return size
    return 0


def _is_stop(token: str) -> bool:
    return bool(_STOP.fullmatch(token)) or lexicon().is_a(token.lower(), "joints")


def _atom(text: str, lead: str, start: int, end: int) -> list[Atom]:
    if start < 0 or all(word in _BARE for word in text[start:end].lower().split()):
        return []
    return [Atom(text[start:end], start, end, lead)]
