"""Which pairs of pictures a report shows: the worst, the middle and the best for B, then the others in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from limner.refine.pairs import Paired
from limner.refine.report.embed import Shown
from limner.refine.verdict_tests import gains

Mark = Literal["worst", "median", "best", ""]
EACH = 2


@dataclass(frozen=True, slots=True)
class Choice:
    """A pair to be shown: its place in the paired values, what it stands for, and its gain by the first judge."""

    place: int
    mark: Mark
    gain: float


@dataclass(frozen=True, slots=True)
class Case:
    """A pair of pictures on the page. ``words`` says each scorer's values in it."""

    id: str
    unit: str
    mark: Mark
    gain: float
    words: str
    a: Shown
    b: Shown


def chosen(paired: Paired, judge: str, most: int) -> tuple[Choice, ...]:
    """At most ``most`` pairs: worst, median and best for B first, then the others from worst to best; where not all
    fit, those that are evenly spread over that order."""
    d = [float(each) for each in gains(paired.values[judge])]
    order = sorted(range(len(d)), key=d.__getitem__)
    marks: dict[int, Mark] = {}
    each = min(EACH, max(1, len(order) // 3))
    middle = (len(order) - each) // 2
    for mark, places in _parts(order, each, middle):
        for place in places:
            marks.setdefault(place, mark)
    others = [place for place in order if place not in marks]
    room = max(0, most - len(marks))
    if len(others) > room:
        others = [others[(2 * k + 1) * len(others) // (2 * room)] for k in range(room)]
    return tuple(Choice(place, marks.get(place, ""), d[place]) for place in (*marks, *others))


def _parts(order: Sequence[int], each: int, middle: int) -> tuple[tuple[Mark, Sequence[int]], ...]:
    return ("worst", order[:each]), ("median", order[middle : middle + each]), ("best", order[::-1][:each])


def values_in(paired: Paired, place: int) -> str:
    """``pocket-judge 0.31 → 0.62, pocket-clip 0.2 → 0.22``."""
    return ", ".join(f"{name} {each.a[place]:.3g} → {each.b[place]:.3g}" for name, each in paired.values.items())
