"""Attention that can go back gives what the fused kernel gives."""

from __future__ import annotations

import pytest
import torch

from limner.models.nets.bart import attend_whole


@pytest.mark.parametrize(("causal", "hidden"), [(False, False), (True, False), (False, True)])
def test_attention_with_a_way_back_is_the_same(causal: bool, hidden: bool) -> None:
    drawn = torch.Generator().manual_seed(1)
    given = [torch.randn(3, 2, 9, 8, generator=drawn) for _ in range(3)]
    bias = torch.zeros(3, 1, 1, 9)
    bias[1, ..., 6:] = float("-inf")
    fused = attend_whole(*given, bias if hidden else None, causal=causal)
    back = [each.clone().requires_grad_() for each in given]
    plain = attend_whole(*back, bias if hidden else None, causal=causal)
    assert (plain - fused).abs().max() < 1e-5
    up = torch.randn(fused.shape, generator=drawn)
    found = torch.autograd.grad((plain * up).sum(), back)
    theirs = [each.clone().requires_grad_() for each in given]
    wanted = torch.nn.functional.scaled_dot_product_attention(
        *theirs, attn_mask=bias if hidden else None, is_causal=causal
    )
    for mine, other in zip(found, torch.autograd.grad((wanted * up).sum(), theirs), strict=True):
        assert (mine - other).abs().max() < 1e-5
