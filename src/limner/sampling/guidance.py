"""Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598), in the scale that 1 leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def needs_uncond(scale: float) -> bool:
    """Must the network also be asked without the words? Not at 1, where that answer would be multiplied by zero."""
    return scale != 1


def needs_cond(scale: float) -> bool:
    """Must the network be asked with the words? Not at 0."""
    return scale != 0


def combine(uncond: Tensor, cond: Tensor, scale: float) -> Tensor:
    """From the answer without words towards and past the one with: ``uncond + scale * (cond - uncond)``.

    1 gives ``cond``, 0 gives ``uncond``, between them mixes. Both tensors of one shape and dtype.
    """
    if scale == 1:
        return cond
    if scale == 0:
        return uncond
    return uncond + scale * (cond - uncond)
