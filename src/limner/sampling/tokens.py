"""Choosing the next token: temperature, the k likeliest (Fan et al. 2018, arXiv 1805.04833), and of those the fewest
that reach a probability p (nucleus sampling: Holtzman et al. 2019, arXiv 1904.09751).

The randomness is one number in 0..1 a token, drawn beforehand from the image's own generator. So a choice depends on
the seed and the logits alone, not on how many pictures are drawn together, and nothing returns to the host.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["candidates", "choose", "uniforms"]


def uniforms(seed: int, count: int) -> Tensor:
    """``count`` numbers in [0, 1), float32 on the CPU, the same for a seed whatever else is drawn."""
    return torch.rand(count, generator=torch.Generator("cpu").manual_seed(seed), dtype=torch.float32)


def candidates(logits: Tensor, temperature: float, top_k: int, top_p: float) -> tuple[Tensor, Tensor]:
    """Logits divided by ``temperature``, likeliest first, and their ids; those ruled out are -inf.

    Args:
        logits: [N, V], float32.
        temperature: above 0; below 1 sharpens.
        top_k: how many to keep; 0 keeps all.
        top_p: 0..1; keeps the fewest that reach it, the one that crosses it included, and at least one.

    Returns:
        Values and ids, [N, K] with K = ``top_k`` or V.
    """
    vocabulary = logits.shape[-1]
    values, ids = (logits / temperature).topk(min(top_k, vocabulary) if top_k else vocabulary)
    if top_p < 1:
        share = values.softmax(-1)
        before = share.cumsum(-1) - share
        out = before >= top_p
        out[:, 0] = False
        values = values.masked_fill(out, float("-inf"))
    return values, ids


def choose(logits: Tensor, uniform: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """One id [N] for each row of ``logits`` [N, V], by its own number of ``uniform`` [N].

    The candidate is taken in whose share of the summed probabilities, likeliest first, the number falls. Temperature 0
    takes the likeliest.
    """
    if temperature == 0 or top_k == 1:
        return logits.argmax(-1)
    values, ids = candidates(logits, temperature, top_k, top_p)
    total = values.softmax(-1).cumsum(-1)
    # Below, not up to: then a number that rounds up to the whole sum still falls on the last one that is not ruled out.
    place = (total < uniform[:, None] * total[:, -1:]).sum(-1, keepdim=True)
    return ids.gather(-1, place)[:, 0]
