"""Denoising diffusion implicit models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from limner.sampling.course import Course, Denoise, Level, Show
from limner.sampling.prediction import to_noise

if TYPE_CHECKING:
    from torch import Tensor


class Ddim:
    """Song et al. 2021 (arXiv 2010.02502), equation 12 with eta = 0: no fresh noise.

    The same noise is put back onto the predicted picture, at the next level. (Where steps do not divide the training
    timesteps, diffusers puts it back at a level one timestep off the one it then evaluates; here both are the same.)
    """

    def solve(self, x: Tensor, levels: Sequence[Level], denoise: Denoise, noise: Callable[[], Tensor]) -> Course:
        steps = len(levels) - 1
        for step, (here, there) in enumerate(pairwise(levels), start=1):
            x0 = yield from denoise(x, here)
            x = there.alpha * x0 + there.sigma * to_noise(x, x0, here)
            yield Show(step, steps, x0)
        return x
