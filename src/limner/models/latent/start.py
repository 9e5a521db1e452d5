"""Where a picture starts: noise in the seed's own order, alone or over a picture.

Drawn from one generator an image, in this order, as diffusers' pipelines do:

- from words alone: the noise.
- from a picture: the encoder's spread, the noise.
- with a mask: the encoder's spread (not where an inpainting network starts from pure noise), the noise, the spread of
  the masked picture (drawn by other networks too, and not used), and with ``inpaint_fill`` noise that of the fill.
- then what a stochastic solver draws; then the second pass: spread (where it encodes pixels), noise, solver's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from limner.types import Plan

if TYPE_CHECKING:
    from torch import Tensor

    from limner.sampling.course import Level
    from limner.sampling.noise import Noise, Source


class Draws:
    """The noise of one image of a plan, on the plan's device, in the order it is asked for."""

    def __init__(self, plan: Plan, k: int, shape: Sequence[int] | None = None) -> None:
        import torch

        self._plan, self._k = plan, k
        self._seed = plan.seeds[k]
        self._shape = plan.recipe.latent if shape is None else shape
        self._device = torch.device(plan.device)
        self._noise = noise_of(plan, self._seed.seed, self._shape, mixed=self._seed.variation_seed)
        self._fresh = True

    def again(self, shape: Sequence[int]) -> Draws:
        """The same seeds from their beginning, in another shape."""
        return Draws(self._plan, self._k, shape)

    def like(self) -> Tensor:
        """Zeros of the plan's latent shape, where the draws are."""
        import torch

        return torch.zeros(tuple(self._shape), device=self._device)

    def next(self, shape: Sequence[int] | None = None) -> Tensor:
        """The next draw; of the plan's latent shape where none is given."""
        if self._fresh:
            self._fresh = False
            # Never mixed: a variation is one of the noise that the picture starts from, not of the encoder's spread.
            return noise_of(self._plan, self._seed.seed, self._shape).first().to(self._device)
        return self._noise.next(shape).to(self._device)

    def first(self) -> Tensor:
        """The noise a picture starts from, mixed with the second seed's where a variation is planned.

        Both are the draws at this place of their seed's order, so that a share of 1 is the other seed's picture.
        """
        from limner.sampling.noise import slerp

        if self._fresh:
            self._fresh = False
            return self._noise.first().to(self._device)
        noise, second = self._noise.next(), self._seed.variation_seed
        if second is not None and self._plan.recipe.variation:
            noise = slerp(noise, noise_of(self._plan, second, self._shape).next(), self._plan.recipe.variation)
        return noise.to(self._device)

    def between(self, whole: Sequence[Level], run: Sequence[Level]) -> Callable[[], Tensor]:
        """What draws the noise of A1111's SDE samplers for the levels that are ``run``: a Brownian path over all of the
        ``whole`` ones, the seed's own whatever else was drawn."""
        from limner.sampling.brownian import Brownian

        sigmas = [level.sigma / level.alpha for level in whole if level.sigma > 0]
        path = Brownian(self._seed.seed, self._shape, sigmas[-1], sigmas[0], source_of(self._plan))
        steps = pairwise(level.sigma / level.alpha for level in run if level.sigma > 0)
        return lambda: path.noise(*next(steps)).to(self._device)


def source_of(plan: Plan) -> Source:
    """Whose random numbers the plan is drawn with."""
    return "philox" if plan.recipe.options.get("noise_source") == "philox" else "cpu"


def noise_of(plan: Plan, seed: int, shape: Sequence[int], mixed: int | None = None) -> Noise:
    """A seed's noise by the plan's rules; ``mixed`` is the second seed of a variation."""
    from limner.sampling.noise import Noise

    options = plan.recipe.options
    return Noise(
        seed,
        shape,
        variation_seed=mixed,
        variation=plan.recipe.variation,
        source=source_of(plan),
        delta=int(options.get("noise_delta", 0)),
        columns="compat" in options,
    )
