"""Euler's method on the probability flow ODE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from limner.sampling.course import Course, Denoise, Level, Show

if TYPE_CHECKING:
    from torch import Tensor


class Euler:
    """First order. Karras et al. 2022 (arXiv 2206.00364), algorithm 1 without churn.

    A straight line in sigma/alpha is ``x' = (sigma'/sigma) x + (alpha' - alpha sigma'/sigma) x0`` on the scale of
    ``x``: nothing is divided by alpha, so it also starts from pure noise. On flow-matching levels the same line is
    Euler's step along the velocity.
    """

    def solve(self, x: Tensor, levels: Sequence[Level], denoise: Denoise, noise: Callable[[], Tensor]) -> Course:
        steps = len(levels) - 1
        for step, (here, there) in enumerate(pairwise(levels), start=1):
            x0 = yield from denoise(x, here)
            x = line(x, x0, here, there)
            yield Show(step, steps, x0)
        return x


def line(x: Tensor, x0: Tensor, here: Level, there: Level) -> Tensor:
    """From ``here`` to ``there`` as if ``x0`` were the clean picture: the step of Euler, DDIM and first-order
    DPM-Solver++ alike."""
    keep = there.sigma / here.sigma
    return keep * x + (there.alpha - here.alpha * keep) * x0
