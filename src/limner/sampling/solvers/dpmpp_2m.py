"""DPM-Solver++(2M)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from limner.sampling.course import Course, Denoise, Level, Show
from limner.sampling.solvers.euler import line

if TYPE_CHECKING:
    from torch import Tensor

FEW_STEPS = 15  # below this the last step is of first order, for stability


class DpmPp2M:
    """Lu et al. 2022 (arXiv 2211.01095), algorithm 2: second order by remembering the last prediction.

    ``D`` extrapolates the predictions to the middle of the step in lambda = log(alpha/sigma); the step is then the
    first-order one towards ``D``. First and last steps are of first order.
    """

    def solve(self, x: Tensor, levels: Sequence[Level], denoise: Denoise, noise: Callable[[], Tensor]) -> Course:
        steps = len(levels) - 1
        last: Tensor | None = None
        for step, (here, there) in enumerate(pairwise(levels), start=1):
            x0 = yield from denoise(x, here)
            D = x0
            if last is not None and not first_order_final(step, steps, there):
                D = x0 + slope_share(levels[step - 2], here, there) * (x0 - last)
            x = line(x, D, here, there)
            last = x0
            yield Show(step, steps, x0)
        return x


def log_snr(level: Level) -> float:
    """lambda = log(alpha/sigma); minus infinity in pure noise, infinity when clean."""
    if level.alpha == 0:
        return -math.inf
    return math.inf if level.sigma == 0 else math.log(level.alpha / level.sigma)


def slope_share(before: Level, here: Level, there: Level) -> float:
    """1/(2r) of the paper, r = h_last/h: how much of the change since ``before`` to add at ``here`` to stand in the
    middle of the step to ``there``. 0 where ``before`` is pure noise, infinitely far away."""
    h_last = log_snr(here) - log_snr(before)
    h = log_snr(there) - log_snr(here)
    return h / (2 * h_last)


def first_order_final(step: int, steps: int, there: Level) -> bool:
    """Is this the last step, and one that second order would spoil? Always when it ends in sigma = 0."""
    return step == steps and (there.sigma == 0 or steps < FEW_STEPS)
