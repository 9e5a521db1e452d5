"""The VQGAN that turns DALL-E mini's image codes into pixels (Esser et al. 2020, arXiv 2012.09841): its decoding half.

Parameter names are those of the original release (``decoder.up.3.block.0.conv1.weight``).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.nets.dalle_configs import GROUPS, VqganConfig

__all__ = ["Vqgan"]

EPS = 1e-6


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=EPS)


class ResBlock(nn.Module):
    def __init__(self, taken: int, given: int) -> None:
        super().__init__()
        self.norm1 = _norm(taken)
        self.conv1 = nn.Conv2d(taken, given, 3, padding=1)
        self.norm2 = _norm(given)
        self.conv2 = nn.Conv2d(given, given, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(taken, given, 1) if taken != given else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv1(F.silu(self.norm1(x), inplace=True))
        h = self.conv2(F.silu(self.norm2(h), inplace=True))
        return h.add_(self.nin_shortcut(x))  # a layer's own output: nobody else holds it


class Attention(nn.Module):
    """Every position attends to every other, with a single head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).transpose(1, 2)[:, None] for layer in (self.q, self.k, self.v))
        h = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).reshape(x.shape)
        result: Tensor = self.proj_out(h)
        return result.add_(x)


class Upsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return result


class Middle(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResBlock(channels, channels)
        self.attn_1 = Attention(channels)
        self.block_2 = ResBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return result


class Level(nn.Module):
    """Blocks of one resolution, each with its own attention where there is any, then the step to the next."""

    def __init__(self, taken: int, given: int, blocks: int, *, attention: bool, upsample: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResBlock(taken if j == 0 else given, given) for j in range(blocks))
        self.attn = nn.ModuleList(Attention(given) for _ in range(blocks if attention else 0))
        self.upsample = Upsample(given) if upsample else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for j, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[j](x)
        result: Tensor = self.upsample(x)
        return result


class Decoder(nn.Module):
    def __init__(self, config: VqganConfig) -> None:
        super().__init__()
        widths = [config.channels * each for each in config.multipliers]
        self.conv_in = nn.Conv2d(config.z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList(
            Level(
                widths[min(i + 1, len(widths) - 1)],
                widths[i],
                config.blocks + 1,
                attention=config.resolution // 2**i in config.attention,
                upsample=i > 0,
            )
            for i in range(len(widths))
        )
        self.norm_out = _norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
        result: Tensor = self.conv_out(F.silu(self.norm_out(x), inplace=True))
        return result


class Quantize(nn.Module):
    def __init__(self, config: VqganConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.codes, config.embed_dim)


class Vqgan(nn.Module):
    def __init__(self, config: VqganConfig) -> None:
        super().__init__()
        self.config = config
        self.quantize = Quantize(config)
        self.post_quant_conv = nn.Conv2d(config.embed_dim, config.z_channels, 1)
        self.decoder = Decoder(config)

    def decode(self, codes: Tensor) -> Tensor:
        """Pixels [N, 3, H, W], nominally 0..1 but not clamped, of the ``codes`` [N, rows * grid], row by row.

        Fewer rows than the grid has give the upper part of a picture.
        """
        z = self.quantize.embedding(codes).unflatten(1, (-1, self.config.grid)).permute(0, 3, 1, 2)
        result: Tensor = self.decoder(self.post_quant_conv(z))
        return result
