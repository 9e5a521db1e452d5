from __future__ import annotations

import pytest
import torch
from torch import nn

from limner.models.nets.blocks import GroupNorm, Upsample


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("side", [8, 40], ids=["small", "large"])
def test_group_norm_in_half_precision_is_as_good_as_rounding_allows(dtype: torch.dtype, side: int) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = GroupNorm(4, 12)
    ours.weight.data, ours.bias.data = torch.randn(12, generator=generator), torch.randn(12, generator=generator)
    x = (3 + 2 * torch.randn(2, 12, side, side, generator=generator)).to(dtype).to(memory_format=torch.channels_last)
    reference = nn.functional.group_norm(x.double(), 4, ours.weight.to(dtype).double(), ours.bias.to(dtype).double())
    result = ours.to(dtype)(x)
    assert result.dtype == dtype
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert (result.double() - reference).abs().max() <= 3 * torch.finfo(dtype).eps * reference.abs().max()


def test_upsample_to_a_given_size() -> None:
    layer, x = Upsample(4), torch.zeros(1, 4, 3, 5)
    assert layer(x).shape == (1, 4, 6, 10)
    assert layer(x, torch.Size((5, 9))).shape == (1, 4, 5, 9)
