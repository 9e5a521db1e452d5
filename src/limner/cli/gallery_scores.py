"""Scores in the gallery: sorted by, asked for, shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from limner.errors import InvalidRequest, UnknownName
from limner.evaluate.words import plain_words, text_hash
from limner.library.entries import Entry, Query
from limner.library.store import Library
from limner.types import Score

BEST, WORST = "score", "worst"
WAYS = "newest, oldest, rating, score:NAME (best first) or worst:NAME"


class ByScore(NamedTuple):
    """An order by a scorer's values."""

    scorer: str
    descending: bool


def by_score(sort: str, library: Library) -> ByScore | None:
    """What ``score``, ``score:NAME`` and ``worst:NAME`` mean; ``None`` for another word. Raises ``InvalidRequest``."""
    way, _, name = sort.partition(":")
    if way not in (BEST, WORST):
        return None
    scorer = one_scorer(name, library, "sort")
    return ByScore(scorer, (way == BEST) == _higher_is_better(scorer))


def bounds(
    given: Iterable[str], option: str, sorted_by: ByScore | None, library: Library
) -> Sequence[tuple[str, float]]:
    """``NAME:VALUE``, or ``VALUE`` of the scorer that is sorted by, or of the only one there is. Raises
    ``InvalidRequest``."""
    found = []
    for text in given:
        name, _, value = text.rpartition(":")
        scorer = sorted_by.scorer if sorted_by and not name else one_scorer(name, library, option)
        found.append((scorer, _number(value, option)))
    return found


def one_scorer(name: str, library: Library, option: str) -> str:
    """The scorer that is named; the only one whose scores are here, where none is. Raises ``InvalidRequest``,
    ``UnknownName``."""
    known = library.scorers()
    if name in known:
        return name
    if not known:
        raise InvalidRequest(
            f"--{option}: no picture has a score yet", field=option, hint="limner score ID... gives scores"
        )
    if name:
        raise UnknownName("scorer with scores here", name, known, field=option)
    if len(known) > 1:
        raise InvalidRequest(f"--{option}: by which scorer", field=option, hint=f"name one: {', '.join(known)}")
    return known[0]


def _number(text: str, option: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidRequest(
            f"--{option}: {text!r} is not a number", field=option, hint=f"for example: --{option} pocket-clip:0.5"
        )
    return value


def _higher_is_better(scorer: str) -> bool:
    """As its card says; a scorer that is no longer installed counts as most do."""
    from limner.evaluate.defaults import card_of

    card = card_of(scorer)
    return card is None or card.better == "higher"


Shown = Mapping[str, Mapping[str, float]]
"""Values by scorer and picture id."""


def scores_shown(query: Query, entries: Sequence[Entry], library: Library) -> Shown:
    """The values of every scorer that a query sorts by or asks for."""
    asked = [query.scorer, *(name for name, _ in (*query.at_least, *query.at_most))]
    names = dict.fromkeys(name for name in asked if name is not None)
    ids = [entry.id for entry in entries]
    highest = query.sort != "score" or query.descending
    return {name: library.values(name, ids, highest=highest) for name in names}


def scored_json(entry: Entry, shown: Shown) -> dict[str, object]:
    """A list's ``scores`` of a picture, where the list is about scores."""
    return {"scores": {name: values.get(entry.id) for name, values in shown.items()}} if shown else {}


def told(score: Score, entry: Entry) -> str:
    """A score as ``gallery show`` says it."""
    of = "" if score.text is None or score.text == text_hash(plain_words(entry.prompt)) else "; of another text"
    flags = "".join(f"; {flag}" for flag in score.flags)
    return f"{score.value:.6g} ({score.scale}; {score.domain}; revision {score.revision}{of}{flags})"
