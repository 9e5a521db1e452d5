"""The words of the pocket world: things with all their names, colours, counts, relations, places and times.

Read from ``words.json`` beside the judge's weights, which the training wrote from its own lists. Torch-free.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from limner.errors import CorruptFile, ModelNotFound

ASSETS = Path(__file__).parents[1] / "assets"
WORDS = ASSETS / "pocket_judge" / "words.json"

Meaning = Literal["thing", "colour", "count", "relation", "place", "time"]
Phrase = tuple[str, ...]

_PLACED = ("in", "on", "at", "over", "across", "through", "during", "from", "under", "among")
_ARTICLES = ((), ("the",), ("a",), ("an",))
_LEADING = {*_PLACED, "by", "front", "of", "the", "a", "an"}
_GREY = {"grey": "gray"}
_ONE = {"one": 1, "1": 1}


class Meant(NamedTuple):
    """What a phrase means: ``value`` is a thing's number, a count, or the world's own name of the rest."""

    meaning: Meaning
    value: str | int
    plural: bool = False


@dataclass(frozen=True)
class World:
    """What the pocket scorers know. ``things``: for each, its (singular, plural) names, the first being its own."""

    things: tuple[tuple[tuple[str, str], ...], ...]
    phrases: Mapping[Phrase, Meant]
    bare: Mapping[Phrase, Meant]
    longest: int

    def name(self, thing: int, plural: bool = False) -> str:
        """A thing's own name."""
        return self.things[thing][0][plural]


@cache
def world(path: Path = WORDS) -> World:
    """The world's words. Raises ``ModelNotFound``, ``CorruptFile``."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        things = tuple(tuple((str(one), str(many)) for one, many in names) for names in told["things"])
        phrases = dict(_phrases(told, things))
        bare = dict(_bare(told))
    except OSError as error:
        raise ModelNotFound(f"the pocket scorers' words are not at {path}", hint="install Limner again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(f"{path} does not hold the pocket scorers' words", hint="install Limner again") from error
    return World(things, phrases, bare, max(map(len, phrases)))


def _phrases(
    told: dict[str, dict[str, list[str]]], things: tuple[tuple[tuple[str, str], ...], ...]
) -> Iterator[tuple[Phrase, Meant]]:
    """Every phrase with its meaning, the weakest claims first: a later one replaces an earlier."""
    for kind in ("places", "times"):
        for name, (after, alone) in told[kind].items():
            meant = Meant("place" if kind == "places" else "time", name)
            for core in {_core(p) for p in (*after, *alone)}:
                yield from (((before, *article, *core), meant) for before in _PLACED for article in _ARTICLES)
    for kind in ("places", "times"):
        for name, (_, alone) in told[kind].items():  # "in the sea" is the sea, though one says "by the sea" of a beach
            meant = Meant("place" if kind == "places" else "time", name)
            for phrase in alone:
                core = tuple(phrase.split())
                yield from (((before, *article, *core), meant) for before in _PLACED for article in _ARTICLES)
    for number in range(len(things) - 1, -1, -1):
        for one, many in reversed(things[number]):
            yield tuple(many.split()), Meant("thing", number, plural=True)
            yield tuple(one.split()), Meant("thing", number)
    for name, said in told["relations"].items():
        yield from ((tuple(p.split()), Meant("relation", name)) for p in said)
    for colour in told["colours"]:
        if (colour,) != ("orange",):
            yield (colour,), Meant("colour", colour)
    yield from (((said,), Meant("colour", name)) for said, name in _GREY.items())
    for count, said in told["counts"].items():
        yield from ((tuple(p.split()), Meant("count", int(count))) for p in said)
    yield from (((said,), Meant("count", n)) for said, n in _ONE.items())
    for kind in ("places", "times"):
        for name, (after, _) in told[kind].items():
            yield from ((tuple(p.split()), Meant("place" if kind == "places" else "time", name)) for p in after)


def _bare(told: dict[str, dict[str, list[list[str]]]]) -> Iterator[tuple[Phrase, Meant]]:
    """Places and times as they stand without a preposition: "snow, a cat"."""
    for kind in ("places", "times"):
        for name, said in told[kind].items():
            meant = Meant("place" if kind == "places" else "time", name)
            yield from ((_core(p), meant) for p in said[0])
    for kind in ("places", "times"):
        for name, said in told[kind].items():
            meant = Meant("place" if kind == "places" else "time", name)
            yield from ((tuple(p.split()), meant) for p in said[1])


def _core(phrase: str) -> Phrase:
    """A phrase without its leading preposition and article."""
    words = phrase.split()
    while len(words) > 1 and words[0] in _LEADING:
        words = words[1:]
    return tuple(words)
