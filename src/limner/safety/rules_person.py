"""Whether a request names a real person: known ones by a list, others by the form of their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from limner.safety.lexicon import Hit, names
from limner.safety.normalise import Normal
from limner.safety.signals import Signal, Signals

_HANDLE: Final = re.compile(r"(?<![\w.])@[A-Za-z][\w.]{2,29}")
_AUTHOR: Final = frozenset({"by", "after", "artist", "photographer", "painter", "sculptor"})
_NOT_SURNAMES: Final = frozenset(
    ["and", "in", "on", "at", "the", "of", "with", "as", "is", "was", "from", "to", "for", "nude", "naked", "by", "or"]
)


def real_persons(found: Signals) -> list[Signal]:
    """Signals of real persons: by the list of known ones, described as such (a celebrity, my neighbour), or named."""
    listed = found.of("known_person", "real_person_words")
    return [*listed, *(signal for text, normal, hits in found.texts for signal in _named(text.where, normal, hits))]


def _named(where: str, text: Normal, hits: tuple[Hit, ...]) -> Iterator[Signal]:
    taken = [(hit.start, hit.end) for hit in hits if hit.concept in ("artists", "made_up")]
    listed = {hit.first for hit in hits if hit.first == hit.last and hit.concept not in ("person", "minor_weak")}
    given, surnames = names("given"), names("surnames")
    for place, (first, second) in enumerate(pairwise(text.words)):
        if first.forms[0] not in given or not text.text[first.end : second.start].isspace():
            continue
        if any(start < second.end and first.start < end for start, end in taken):
            continue
        if place and text.words[place - 1].forms[0] in _AUTHOR:
            continue
        family = second.forms[0]
        capital = text.quote(first.start, first.end)[:1].isupper() and _is_title(text.quote(second.start, second.end))
        surname = family in surnames or (capital and family not in _NOT_SURNAMES and place + 1 not in listed)
        if surname and family.isalpha() and len(family) > 1:
            yield Signal("named_person", "name", text.quote(first.start, second.end), where)
    for match in _HANDLE.finditer(text.text):
        if not text.text[: match.start()].rstrip().endswith("by"):
            yield Signal("named_person", "handle", text.quote(*match.span()), where)


def _is_title(word: str) -> bool:
    return word[:1].isupper() and word[1:2].islower()
