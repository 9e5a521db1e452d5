"""The network with guidance: what a solver asks at each level."""

from __future__ import annotations

from bisect import bisect_left
from itertools import count
from typing import TYPE_CHECKING

from limner.models.latent.parts import Parts
from limner.models.latent.text import Conditions
from limner.sampling.course import Course, Denoise, Eval, Level
from limner.types import Recipe

if TYPE_CHECKING:
    from torch import Tensor


def denoiser(parts: Parts, recipe: Recipe, conditions: Conditions, beside: Tensor | None = None) -> Denoise:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598): two rows a step, one without guidance.

    ``beside`` [C', h, w] are channels that an inpainting network sees beside the latent, at every step.
    """
    from limner.sampling.guidance import combine
    from limner.sampling.prediction import to_x0

    # Not by t: rounding makes neighbours of a Karras schedule equal in t.
    cleanness = [alpha / sigma if sigma else float("inf") for alpha, sigma, _ in recipe.levels]

    # A1111 takes its prompt schedule by evaluations, of which a step may have two.
    by_calls, calls = "compat" in recipe.options, count(1)

    def denoise(x: Tensor, level: Level) -> Course:
        step = bisect_left(cleanness, level.alpha / level.sigma if level.sigma else float("inf")) + 1
        if by_calls:
            step = next(calls)
        positive, negative = conditions.positive(step), conditions.negative(step)
        if negative is None:
            (out,) = yield Eval((parts.unet(x, level, positive, beside),))
        else:
            uncond, cond = yield Eval(tuple(parts.unet(x, level, each, beside) for each in (negative, positive)))
            out = combine(uncond, cond, recipe.guidance)
        return to_x0(recipe.prediction, x, out, level)

    return denoise
