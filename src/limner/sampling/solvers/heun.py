"""Heun's method on the probability flow ODE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from limner.sampling.course import Course, Denoise, Level, Show

if TYPE_CHECKING:
    from torch import Tensor

_PURE_NOISE = 1e-3  # below this alpha, sigma/alpha is too long a stretch for the trapezoid rule
_FLOW = 1e-6


class Heun:
    """Second order, two evaluations a step. Karras et al. 2022 (arXiv 2206.00364), algorithm 1 without churn.

    Goes along the line as Euler does, looks at the slope there, and takes the step anew with the mean of both slopes;
    the last step, into sigma = 0, is Euler's.
    """

    def solve(self, x: Tensor, levels: Sequence[Level], denoise: Denoise, noise: Callable[[], Tensor]) -> Course:
        steps = len(levels) - 1
        for step, (here, there) in enumerate(pairwise(levels), start=1):
            x0 = yield from denoise(x, here)
            a, b = _frame(here, there)
            y = x / a.scale
            slope = _slope(y, x0, a)
            y_next = y + (b.s - a.s) * slope
            if there.sigma > 0:
                x0_next = yield from denoise(y_next * b.scale, there)
                y_next = y + (b.s - a.s) * (slope + _slope(y_next, x0_next, b)) / 2
            x = y_next * b.scale
            yield Show(step, steps, x0)
        return x


class _Point(NamedTuple):
    """A level in the coordinates of a step: ``x = scale * y``, and y's noise is ``s`` strong."""

    scale: float
    s: float


def _frame(here: Level, there: Level) -> tuple[_Point, _Point]:
    """The coordinates in which the step is a straight line in s.

    Diffusion: ``y = x / alpha``, ``s = sigma / alpha``, as in the paper. Flow matching, and the step out of pure noise,
    where the paper's coordinates are infinite: ``y = x / (alpha + sigma)``, ``s = sigma / (alpha + sigma)``.
    """
    flow = abs(here.alpha + here.sigma - 1) < _FLOW
    if flow or here.alpha < _PURE_NOISE:
        return _summed(here), _summed(there)
    return _Point(here.alpha, here.sigma / here.alpha), _Point(there.alpha, there.sigma / there.alpha)


def _summed(level: Level) -> _Point:
    total = level.alpha + level.sigma
    return _Point(total, level.sigma / total)


def _slope(y: Tensor, x0: Tensor, at: _Point) -> Tensor:
    """dy/ds along the line through y that ends at x0. It is (y - x0) / s in both coordinates."""
    return (y - x0) / at.s
