"""Words that make a concept only in company: ``severed`` near ``head``, ``fake`` near ``driving licence``.

The pairs are read from ``lists/company.toml``. A list of phrases catches the order that its author thought of; a pair
catches both, and what stands between.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from limner.safety.lexicon import Hit, Lexicon, entries
from limner.safety.normalise import Normal

_ANYWHERE = 99  # of scripts without spaces: distance is not counted in words


@dataclass(frozen=True, slots=True)
class Pair:
    """``concept`` is said where at most ``near`` words stand between words of both groups."""

    concept: str
    near: int


def together(text: Normal, dropped: Sequence[tuple[int, int]]) -> Iterator[Hit]:
    """A hit for each pair in the text, first word to last. ``dropped`` are places that an idiom explains."""
    found: dict[str, list[Hit]] = {}
    for hit in _lexicon().hits(text):
        if not any(start < hit.end and hit.start < end for start, end in dropped):
            found.setdefault(hit.concept, []).append(hit)
    for place, pair in enumerate(_pairs()):
        match = next(
            (
                (one, two)
                for one in found.get(f"one-{place}", ())
                for two in found.get(f"two-{place}", ())
                if pair.near >= _ANYWHERE or _apart(one, two) <= pair.near
            ),
            None,
        )
        if match is not None:
            first, last = sorted(match, key=lambda hit: hit.start)
            end = max(first.end, last.end)
            yield Hit(pair.concept, f"{first.entry} + {last.entry}", first.start, end, first.first, last.last)


def _apart(one: Hit, two: Hit) -> int:
    """Words between two hits; what was put together from pieces is near everything."""
    if min(one.first, two.first) < 0:
        return 0
    return max(two.first - one.last, one.first - two.last, 1) - 1


@cache
def _table() -> tuple[dict[str, object], ...]:
    text = files("limner.safety").joinpath("lists", "company.toml").read_text("utf-8")
    return tuple(tomllib.loads(text)["pair"])


@cache
def _pairs() -> tuple[Pair, ...]:
    return tuple(Pair(str(each["concept"]), int(str(each["near"]))) for each in _table())


@cache
def _lexicon() -> Lexicon:
    made = Lexicon()
    for place, each in enumerate(_table()):
        for group in ("one", "two"):
            for entry in entries(each[group]):
                made.add(f"{group}-{place}", entry)
    return made
