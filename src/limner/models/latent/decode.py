"""From latent to pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limner.errors import NonFinite
from limner.models.latent.parts import Parts
from limner.sampling.course import Course, Eval, Note

if TYPE_CHECKING:
    from torch import Tensor


def decode(parts: Parts, latent: Tensor) -> Course:
    """Latent to pixels in 0..1. A half-precision decode that overflows is done again in float32, and noted."""
    scaling, shift = float(parts.recipe.options["scaling"]), float(parts.recipe.options["shift"])
    scaled = latent / scaling + shift
    try:
        (pixels,) = yield Eval((parts.vae(scaled),))
    except NonFinite:
        if parts.dtype == "float32":
            raise
        yield Note("float32-decode", f"the decode overflowed in {parts.dtype} and was done again in float32")
        (pixels,) = yield Eval((parts.vae(scaled, "float32"),))
    return (pixels / 2 + 0.5).clamp(0, 1)
