"""Scores in the gallery, shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from limner.evaluate.words import plain_words, text_hash
from limner.library.entries import Entry, Query
from limner.library.store import Library
from limner.types import Score

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
