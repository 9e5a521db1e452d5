"""Packed networks compute what plain ones do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from limner.models.nets import packing
from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.nets.packing import PackedConvolution, PackedLinear, can_pack, converted, pack
from limner.models.nets.unet import UNet, UNetConfig

UNET = UNetConfig(
    block_out_channels=(16, 32),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    layers_per_block=(1, 1),
    transformer_layers_per_block=(1, 1),
    heads=(2, 4),
    cross_attention_dim=24,
    norm_num_groups=8,
    time_embedding_dim=32,
)
DTYPES = [torch.float32, torch.bfloat16]


def frozen(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    return module.to(dtype).eval().requires_grad_(False)


def gauss(dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def assert_packing_changes_nothing(module: nn.Module, call: Callable[[], Tensor], dtype: torch.dtype) -> None:
    before = call()
    pack(module)
    assert any(isinstance(layer, PackedConvolution) for layer in module.modules()) == can_pack(dtype, "cpu")
    after = call()
    limit = 1e-5 if dtype == torch.float32 else 2e-2
    assert (after - before).abs().max() <= limit * before.abs().max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(2, 8, 8), (3, 7, 10)], ids=["even", "odd"])
def test_unet(dtype: torch.dtype, size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    unet = frozen(UNet(UNET), dtype)
    n, height, width = size
    sample, context, t = gauss(dtype, n, 4, height, width), gauss(dtype, n, 5, 24), torch.full((n,), 500.0)
    assert_packing_changes_nothing(unet, lambda: unet(sample, t, context), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_autoencoder(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    vae = frozen(Autoencoder(AutoencoderConfig(block_out_channels=(16, 32), norm_num_groups=8)), dtype)
    latents = gauss(dtype, 1, 4, 6, 5)
    assert_packing_changes_nothing(vae, lambda: vae(latents), dtype)


def test_every_row_is_the_same_alone_after_packing() -> None:
    torch.manual_seed(0)
    unet = frozen(UNet(UNET), torch.float32)
    pack(unet)
    sample, context, t = gauss(torch.float32, 2, 4, 8, 8), gauss(torch.float32, 2, 5, 24), torch.tensor([900.0, 3.5])
    together = unet(sample, t, context)
    alone = torch.cat([unet(sample[i : i + 1], t[i : i + 1], context[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


def test_conversion_gives_the_same_numbers_as_torch() -> None:
    """All of float16, in more than one piece."""
    halves = torch.arange(-(1 << 15), 1 << 15).to(torch.int16).view(torch.float16)
    many = halves[halves.isfinite()].repeat(20)
    for dtype in (torch.bfloat16, torch.float32):
        assert torch.equal(converted(many, dtype), many.to(dtype))
    turned = torch.randn(6, 4).half().T
    assert torch.equal(converted(turned, torch.bfloat16), turned.to(torch.bfloat16))


def test_what_cannot_be_packed_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "can_pack", lambda dtype, device_type: False)
    unet = frozen(UNet(UNET), torch.bfloat16)
    pack(unet)
    assert not any(isinstance(layer, PackedConvolution | PackedLinear) for layer in unet.modules())
    assert not can_pack(torch.bfloat16, "cuda")
    assert not can_pack(torch.float64, "cpu")
