"""Where a picture starts: noise, in the seed's own order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from limner.types import Plan

if TYPE_CHECKING:
    from torch import Tensor


def start(plan: Plan, k: int) -> tuple[Tensor, Callable[[], Tensor]]:
    """The first latent [C, h, w] of image ``k`` on the plan's device, and what draws its further noise."""
    import torch

    from limner.sampling.noise import Noise

    recipe, seed, device = plan.recipe, plan.seeds[k], torch.device(plan.device)
    noise = Noise(seed.seed, recipe.latent, variation_seed=seed.variation_seed, variation=recipe.variation)
    return noise.first().to(device) * recipe.start, lambda: noise.next().to(device)
