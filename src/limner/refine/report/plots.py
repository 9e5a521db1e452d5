"""Where the marks of the report's plots go, in per cent of the plot: text and dots keep their size on every screen.

Three forms are all there is (dots on a line, a scatter, a ladder of rungs), so they are drawn here and no plotting
library is asked: design/009-report.md says why.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from limner.evaluate.statistics import spearman
from limner.refine.pairs import Values
from limner.refine.verdict_tests import gains
from limner.refine.verdict_types import Test

BINS = 44
TALLEST = 132
STEP = 9.0
"""Pixels from a dot to the next above it."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A stretch of numbers laid over 0 to 100 per cent."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> Scale:
        """Around finite values, with a margin; a stretch of its own where they are all the same."""
        low, high = min(values), max(values)
        room = 0.06 * (high - low) or abs(high) * 0.5 or 1.0
        return cls(low - room, high + room)

    def at(self, value: float) -> float:
        return round(100 * (value - self.low) / (self.high - self.low), 3)

    def ticks(self, about: int = 5) -> tuple[Tick, ...]:
        """Round numbers, 1, 2 or 5 times a power of ten apart."""
        raw = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(raw))
        step = power * next((k for k in (1, 2, 5) if raw <= k * power), 10)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        places = max(0, -math.floor(math.log10(step) + 1e-9))
        return tuple(
            Tick(self.at(k * step), f"{k * step:.{places}f}" if places < 6 else f"{k * step:.2g}")
            for k in range(first, last + 1)
        )


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Dot:
    """One unit's difference. ``up`` is its height in pixels above the axis, ``side`` who scores higher in it."""

    at: float
    up: float
    unit: str
    value: float
    side: str


@dataclass(frozen=True, slots=True)
class DotPlot:
    """A scorer's differences, their mean and its interval. ``margin`` is what might be lost, ``None`` for a judge."""

    test: Test
    dots: tuple[Dot, ...]
    zero: float
    mean: float
    low: float | None
    high: float | None
    margin: float | None
    ticks: tuple[Tick, ...]
    height: float


def dot_plot(test: Test, values: Values, units: Sequence[str], toward: int = 1) -> DotPlot:
    """``units`` name the pairs, in the order of ``values``; ``toward`` is 1 where B would win, -1 where A would."""
    d = [float(each) for each in gains(values)]
    marks = [each for each in (test.low, test.high) if each is not None]
    # Non-inferiority is asked of the arm that would win: its loss lies on the other's side.
    edge = None if test.margin is None else -toward * test.margin
    scale = Scale.over([*d, *marks, 0.0, test.gain, *([] if edge is None else [edge])])
    bins = [min(BINS - 1, int(scale.at(each) / 100 * BINS)) for each in d]
    step = min(STEP, TALLEST / max(Counter(bins).values()))
    stacked: Counter[int] = Counter()
    dots = []
    for k in sorted(range(len(d)), key=d.__getitem__):
        at = (bins[k] + 0.5) / BINS * 100
        side = "b" if d[k] > 0 else "a" if d[k] < 0 else "tie"
        dots.append(Dot(round(at, 2), round(6 + stacked[bins[k]] * step, 1), units[k], d[k], side))
        stacked[bins[k]] += 1
    return DotPlot(
        test,
        tuple(dots),
        scale.at(0.0),
        scale.at(test.gain),
        None if test.low is None else scale.at(test.low),
        None if test.high is None else scale.at(test.high),
        None if edge is None else scale.at(edge),
        scale.ticks(),
        round(14 + max(stacked.values()) * step, 1),
    )


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    unit: str
    says: str


@dataclass(frozen=True, slots=True)
class Scatter:
    """Two scorers' differences against each other, a point a unit. ``rho`` is their rank correlation, ``None`` where
    one of them is constant; ``same`` is the share of units in which both prefer the same side."""

    x: str
    y: str
    points: tuple[Point, ...]
    zero_x: float
    zero_y: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    rho: float | None
    same: float


def scatter(x: Values, y: Values, units: Sequence[str]) -> Scatter:
    dx, dy = [float(v) for v in gains(x)], [float(v) for v in gains(y)]
    sx, sy = Scale.over([*dx, 0.0]), Scale.over([*dy, 0.0])
    points = tuple(
        Point(sx.at(a), round(100 - sy.at(b), 3), unit, f"{x.scorer.name} {a:+.3g}, {y.scorer.name} {b:+.3g}")
        for a, b, unit in zip(dx, dy, units, strict=True)
    )
    rho = spearman(dx, dy) if len(dx) > 2 else math.nan
    same = sum((a > 0) == (b > 0) for a, b in zip(dx, dy, strict=True)) / len(dx)
    y_ticks = tuple(Tick(round(100 - each.at, 3), each.label) for each in sy.ticks(4))
    zeros = sx.at(0.0), round(100 - sy.at(0.0), 3)
    return Scatter(
        x.scorer.name, y.scorer.name, points, *zeros, sx.ticks(4), y_ticks, rho if math.isfinite(rho) else None, same
    )
