"""Euler's method with ancestral noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from limner.sampling.course import Course, Denoise, Level, Show

if TYPE_CHECKING:
    from torch import Tensor


class EulerAncestral:
    """Ho et al. 2020 (arXiv 2006.11239) in the form of k-diffusion: step below the next level, then add noise up to it.

    With s = sigma/alpha and r = s'/s, the posterior's split of the next level is ``s_down = s' r`` and
    ``s_up = s' sqrt(1 - r^2)``. One draw a step; none at the last, where it would be multiplied by zero.
    """

    def solve(self, x: Tensor, levels: Sequence[Level], denoise: Denoise, noise: Callable[[], Tensor]) -> Course:
        steps = len(levels) - 1
        for step, (here, there) in enumerate(pairwise(levels), start=1):
            x0 = yield from denoise(x, here)
            keep = there.sigma / here.sigma
            r = keep * here.alpha / there.alpha
            x = keep * r * x + there.alpha * (1 - r * r) * x0
            if there.sigma > 0:
                x = x + there.sigma * (1 - r * r) ** 0.5 * noise()
            yield Show(step, steps, x0)
        return x
