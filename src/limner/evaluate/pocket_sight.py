"""From what the pocket judge sees of a picture to the probability that a fact holds there.

A picture becomes a few *sightings*: a place where something stands, with the chances of what it is and of its colour.
Facts follow from them by probability alone: three foxes are there if foxes are and what looks like them is there three
times, a fox left of a dog if both are and lie so. Torch-free.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Line = tuple[float, float]
"""Slope and offset of a calibrated logit."""

_MOST = 10  # sightings; the pocket world shows five things at most
_FAINT = 0.02  # chance below which nothing is taken to be there
_SLACK = 0.04  # share of the picture by which a relation may be missed before it counts as half
_TOUCHING = 0.41  # a thing whose centre is higher above another's than this does not stand on it
_PRESUMED = 1e-4  # chance to be the thing that is asked about, which everything is given
_OF_WHAT_IS_THERE = frozenset({"count", "relation"})
_EDGE = 1e-4  # chances are kept so far from 0 and 1, so that a calibrated logit is finite


class Logits(NamedTuple):
    """The judge's answer about one picture, ``nets.judge.Seen`` without the batch axis."""

    there: Array
    things: Array
    colours: Array
    shifts: Array
    places: Array
    times: Array
    grounds: Array


class Names(NamedTuple):
    """What the last axes of ``Logits`` stand for, things apart: those go by number."""

    colours: Sequence[str]
    places: Sequence[str]
    times: Sequence[str]
    grounds: Sequence[str]


class Sighting(NamedTuple):
    """Something in a picture: chance that it is there, chances of things [T] and colours [11], centre as shares."""

    chance: float
    things: Array
    colours: Array
    x: float
    y: float


class Fact(NamedTuple):
    """What is asked: the kind of fact, the numbers of the things it is about, and the colour, count, relation or
    surroundings."""

    kind: str
    things: tuple[int, ...] = ()
    value: str | int = ""


class Sight:
    """A picture as the judge sees it. ``calibration``: a line for each kind of fact, that its logit is put through."""

    def __init__(self, logits: Logits, names: Names, calibration: Mapping[str, Line]) -> None:
        self.sightings = sightings(logits)
        self._names, self._calibration = names, calibration
        self._places, self._times = softmax(logits.places), softmax(logits.times)
        self._grounds = softmax(logits.grounds)

    def through(self, calibration: Mapping[str, Line]) -> Sight:
        """The same picture, with another calibration."""
        other = copy(self)
        other._calibration = calibration
        return other

    def yes(self, fact: Fact) -> float:
        """The probability in (0, 1) that the fact holds; a number and a relation hold of things that are there."""
        whose = fact.things if fact.kind in _OF_WHAT_IS_THERE else ()
        lines = self._calibration
        return math.prod(
            calibrated(self.raw(each), lines.get(each.kind, (1.0, 0.0)))
            for each in (fact, *(Fact("thing", (thing,)) for thing in whose))
        )

    def raw(self, fact: Fact) -> float:
        """The probability in [0, 1], before calibration; given that its things are there where it is about some."""
        match fact.kind, fact.things, fact.value:
            case "thing", (thing,), _:
                return _any(each.chance * float(each.things[thing]) for each in self.sightings)
            case "colour", (thing,), str(colour):
                return self._coloured(thing, self._names.colours.index(colour))
            case "count", (thing,), int(n):
                return self._counted(thing, n)
            case "relation", (first, second), str(relation):
                return self._related(relation, first, second)
            case "place", _, str(place):
                return float(self._places[self._names.places.index(place)])
            case "time", _, str(time):
                return float(self._times[self._names.times.index(time)])
            case "ground", _, str(ground):
                return float(self._grounds[self._names.grounds.index(ground)])
            case _:
                raise ValueError(f"no such fact: {fact}")

    def _heard(self, thing: int) -> Array:
        """How much each sighting counts where the thing is asked about: all alike where none looks like it."""
        return np.array([math.sqrt(each.chance * (float(each.things[thing]) + _PRESUMED)) for each in self.sightings])

    def _coloured(self, thing: int, colour: int) -> float:
        """ "Is the fox red?" presumes a fox, and so is asked of what stands for it."""
        return _mean(self._heard(thing), np.array([float(each.colours[colour]) for each in self.sightings]))

    def _counted(self, thing: int, n: int) -> float:
        """Five cats look alike: who takes one for a dog takes all for dogs. So what is counted is what looks like the
        sighting that is the likeliest cat, by the overlap of their chances (Bhattacharyya's)."""
        if not self.sightings:
            return 0.0
        first = max(self.sightings, key=lambda each: each.chance * float(each.things[thing]))
        alike = [each.chance * min(1.0, float(np.sqrt(each.things * first.things).sum())) for each in self.sightings]
        return _exactly(n, alike) / max(_any(alike), _EDGE) if n else 0.0

    def _related(self, relation: str, first: int, second: int) -> float:
        """One pair of sightings that stand so is enough; what the pair is counts beside the likeliest pair."""
        heard = np.outer(self._heard(first), self._heard(second))
        np.fill_diagonal(heard, 0.0)
        likeliest = float(heard.max(initial=0.0))
        if likeliest == 0:
            return 0.0
        return max(
            float(heard[a, b]) / likeliest * self._placed(relation, a, b) for a, b in zip(*heard.nonzero(), strict=True)
        )

    def _placed(self, relation: str, first: int, second: int) -> float:
        a, b = self.sightings[first], self.sightings[second]
        return holds(relation, b.x - a.x, b.y - a.y)


def holds(relation: str, dx: float, dy: float) -> float:
    """How well two centres stand in a relation, in [0, 1]; the second lies ``dx`` right of and ``dy`` below the first,
    as shares of the picture."""
    match relation:
        case "left":
            return _soft(dx - abs(dy))
        case "right":
            return _soft(-dx - abs(dy))
        case "beside":
            return _soft(abs(dx) - abs(dy))
        case "above":
            return _soft(dy - abs(dx))
        case "below":
            return _soft(-dy - abs(dx))
        case "on":
            return _soft(dy - abs(dx)) * _soft(_TOUCHING - dy)
        case _:
            raise ValueError(f"no such relation: {relation}")


def sightings(logits: Logits) -> list[Sighting]:
    """What stands in the picture, the surest first: local peaks of the chance that a centre lies about a cell."""
    there = 1 / (1 + np.exp(-logits.there.astype(np.float64)))
    mass = _about(there)
    n = len(mass)
    found: list[Sighting] = []
    taken = np.zeros_like(mass, dtype=bool)
    for at in np.argsort(-mass, axis=None, kind="stable"):
        row, column = divmod(int(at), n)
        if mass[row, column] < _FAINT or len(found) == _MOST:
            break
        if taken[row, column]:
            continue
        window = slice(max(0, row - 1), min(n, row + 2)), slice(max(0, column - 1), min(n, column + 2))
        found.append(_sighting(logits, there, window))
        taken[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = True  # the same centre, seen again
    return found


def _sighting(logits: Logits, there: Array, window: tuple[slice, slice]) -> Sighting:
    """The cells of a window as one thing, each cell heard as much as it is sure."""
    weights = there[window]
    total = float(weights.sum())
    share = (weights / total)[..., None]
    rows, columns = np.mgrid[window]
    n = len(there)
    x = (share[..., 0] * (columns + 0.5 + logits.shifts[window][..., 0])).sum() / n
    y = (share[..., 0] * (rows + 0.5 + logits.shifts[window][..., 1])).sum() / n
    things = softmax((share * logits.things[window]).sum((0, 1)))
    colours = softmax((share * logits.colours[window]).sum((0, 1)))
    return Sighting(min(1.0, total), things, colours, float(x), float(y))


def softmax(logits: Array) -> Array:
    """Probabilities over the last axis."""
    raised = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    result: Array = raised / raised.sum(-1, keepdims=True)
    return result


def logit(chance: float) -> float:
    """The logit of a probability, which is kept a little away from 0 and 1."""
    p = min(max(chance, _EDGE), 1 - _EDGE)
    return math.log(p / (1 - p))


def calibrated(chance: float, line: Line) -> float:
    """A probability after its logit went through a line (Platt 1999)."""
    return _sigmoid(line[0] * logit(chance) + line[1])


def _about(there: Array) -> Array:
    """The sum over each cell and its eight neighbours."""
    wide = np.pad(there, 1)
    n = len(there)
    result: Array = sum((wide[i : i + n, j : j + n] for i in range(3) for j in range(3)), np.zeros_like(there))
    return result


def _mean(weights: Array, values: Array) -> float:
    """The weighted mean of values; 0 where nothing has any weight."""
    total = float(weights.sum())
    return float((weights * values).sum()) / total if total > 0 else 0.0


def _any(chances: Iterable[float]) -> float:
    none = 1.0
    for chance in chances:
        none *= 1 - float(chance)
    return 1 - none


def _exactly(n: int, chances: Sequence[float]) -> float:
    """The chance that exactly ``n`` of independent events happen."""
    among = np.zeros(len(chances) + 1)
    among[0] = 1.0
    for chance in chances:
        among[1:] = among[1:] * (1 - chance) + among[:-1] * chance
        among[0] *= 1 - chance
    return float(among[n]) if n < len(among) else 0.0


def _soft(margin: float) -> float:
    return _sigmoid(margin / _SLACK)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, x))))
