"""UniPC: a unified predictor-corrector."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from limner.sampling.course import Course, Denoise, Level, Show
from limner.sampling.solvers.dpmpp_2m import log_snr, slope_share
from limner.sampling.solvers.euler import line

if TYPE_CHECKING:
    from torch import Tensor


class UniPC:
    """Zhao et al. 2023 (arXiv 2302.04867), order 2 with B2(h) on data prediction.

    Every evaluation serves twice: it first corrects the point that it was made at (UniC), then predicts the next
    (UniP), so a step costs one evaluation. First and last steps are of first order.
    """

    def solve(self, x: Tensor, levels: Sequence[Level], denoise: Denoise, noise: Callable[[], Tensor]) -> Course:
        steps = len(levels) - 1
        base = x  # the corrected point that the present one was predicted from
        known: list[Tensor] = []  # predictions so far, at most the last two
        order = 1
        for step, here in enumerate(levels[:-1], start=1):
            x0 = yield from denoise(x, here)
            if known:
                x = _correct(base, x0, known, levels[max(step - 3, 0) : step], order)
            base = x
            known = [*known[-1:], x0]
            order = 2 if 1 < step < steps else 1
            x = _predict(x, known, levels[max(step - 2, 0) : step + 1], order)
            yield Show(step, steps, x0)
        return x


def _predict(x: Tensor, known: Sequence[Tensor], levels: Sequence[Level], order: int) -> Tensor:
    """UniP. At order 2 its B(h) and the paper's simplified coefficient 1/2 make it DPM-Solver++(2M)'s step."""
    *_, here, there = levels
    D = known[-1]
    if order == 2:
        D = D + slope_share(levels[-3], here, there) * (D - known[-2])
    return line(x, D, here, there)


def _correct(x: Tensor, x0: Tensor, known: Sequence[Tensor], levels: Sequence[Level], order: int) -> Tensor:
    """UniC: the step into the last of ``levels`` anew, now that the prediction ``x0`` made there is known.

    ``D = m + rho_1 (m_last - m) / r_1 + rho_2 (x0 - m)``, where the rhos solve the 2 x 2 system of the paper's
    equation 10 for nodes r_1 (negative) and 1.
    """
    *_, before, here = levels
    m = known[-1]
    if order == 1:
        return line(x, m + 0.5 * (x0 - m), before, here)
    h = log_snr(here) - log_snr(before)
    r1 = (log_snr(levels[-3]) - log_snr(before)) / h
    phi1 = math.expm1(-h)
    b1 = (phi1 / -h - 1) / phi1
    b2 = 2 * ((phi1 / -h - 1) / -h - 0.5) / phi1
    rho1 = (b2 - b1) / (r1 - 1)
    D = m + rho1 / r1 * (known[-2] - m) + (b1 - rho1) * (x0 - m)
    return line(x, D, before, here)
