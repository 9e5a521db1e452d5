"""Multistep sampling of a latent consistency model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from limner.sampling.course import Course, Denoise, Level, Show

if TYPE_CHECKING:
    from torch import Tensor

SIGMA_DATA = 0.5
TIMESTEP_SCALING = 10.0


class Lcm:
    """Luo et al. 2023 (arXiv 2310.04378), algorithm 3: jump to the clean picture, add fresh noise, jump again.

    For models distilled to it (LCM, LCM-LoRA); others come out blurred. ``c_skip`` and ``c_out`` make the jump the
    identity at t = 0. No noise after the last jump.
    """

    def solve(self, x: Tensor, levels: Sequence[Level], denoise: Denoise, noise: Callable[[], Tensor]) -> Course:
        steps = len(levels) - 1
        for step, (here, there) in enumerate(pairwise(levels), start=1):
            x0 = yield from denoise(x, here)
            scaled = here.t * TIMESTEP_SCALING
            total = scaled * scaled + SIGMA_DATA * SIGMA_DATA
            clean = scaled / total**0.5 * x0 + SIGMA_DATA * SIGMA_DATA / total * x
            x = clean if step == steps else there.alpha * clean + there.sigma * noise()
            yield Show(step, steps, x0)
        return x
