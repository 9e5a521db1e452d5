"""DPM-Solver++(2M) on the diffusion SDE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from limner.sampling.course import Course, Denoise, Level, Show
from limner.sampling.solvers.dpmpp_2m import first_order_final, slope_share

if TYPE_CHECKING:
    from torch import Tensor


class DpmPp2MSde:
    """Lu et al. 2022 (arXiv 2211.01095), the SDE form of 2M (midpoint): fresh noise at every step, one draw each.

    With ``r = exp(-h)``, h the step in log(alpha/sigma). No draw at the last step into sigma = 0, where it would be
    multiplied by zero.
    """

    def solve(self, x: Tensor, levels: Sequence[Level], denoise: Denoise, noise: Callable[[], Tensor]) -> Course:
        steps = len(levels) - 1
        last: Tensor | None = None
        for step, (here, there) in enumerate(pairwise(levels), start=1):
            x0 = yield from denoise(x, here)
            D = x0
            if last is not None and not first_order_final(step, steps, there):
                D = x0 + slope_share(levels[step - 2], here, there) * (x0 - last)
            keep = there.sigma / here.sigma
            r = keep * here.alpha / there.alpha
            x = keep * r * x + there.alpha * (1 - r * r) * D
            if there.sigma > 0:
                x = x + there.sigma * (1 - r * r) ** 0.5 * noise()
            last = x0
            yield Show(step, steps, x0)
        return x
