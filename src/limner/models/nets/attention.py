"""Attention of the UNet: the transformer that sees the picture's positions and the text (Rombach et al. 2022)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.nets.blocks import GroupNorm

TRANSFORMER_NORM_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head attention of ``x`` ``[N, S, C]`` over ``context`` ``[N, L, D]``, or over itself."""

    def __init__(self, channels: int, heads: int, context_channels: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        source = channels if context_channels is None else context_channels
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(source, channels, bias=False)
        self.to_v = nn.Linear(source, channels, bias=False)
        # A list, because the published name is `to_out.0`.
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        source = x if context is None else context
        split = (self.heads, -1)
        q = self.to_q(x).unflatten(-1, split).transpose(1, 2)
        k = self.to_k(source).unflatten(-1, split).transpose(1, 2)
        v = self.to_v(source).unflatten(-1, split).transpose(1, 2)
        result: Tensor = self.to_out[0](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return result


class GatedProjection(nn.Module):
    """GEGLU (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        result: Tensor = value * F.gelu(gate)
        return result


class FeedForward(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        # The middle entry stands where training had dropout: published names are `net.0` and `net.2`.
        self.net = nn.Sequential(
            GatedProjection(channels, 4 * channels), nn.Identity(), nn.Linear(4 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.net(x)
        return result


class TransformerBlock(nn.Module):
    """Self-attention, attention to the text, feed-forward; each normalised first and added to its input."""

    def __init__(self, channels: int, heads: int, context_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = Attention(channels, heads, context_channels)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        result: Tensor = x + self.ff(self.norm3(x))
        return result


class Pointwise(nn.Conv2d):
    """A 1x1 convolution of channels-last positions ``[N, ..., C]``: the same as a matrix, stored as a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.flatten(1), self.bias)


class SpatialTransformer(nn.Module):
    """Transformer blocks over the positions of a feature map ``[N, C, H, W]``, added to it.

    ``linear`` chooses how the published projections are stored: SD 2 has matrices, SD 1 the same as 1x1 convolutions.
    """

    def __init__(
        self, channels: int, heads: int, context_channels: int, *, layers: int, groups: int, linear: bool
    ) -> None:
        super().__init__()
        self.norm = GroupNorm(groups, channels, eps=TRANSFORMER_NORM_EPS)
        self.proj_in = nn.Linear(channels, channels) if linear else Pointwise(channels)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(channels, heads, context_channels) for _ in range(layers)
        )
        self.proj_out = nn.Linear(channels, channels) if linear else Pointwise(channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        h: Tensor = self.proj_in(self.norm(x).permute(0, 2, 3, 1)).flatten(1, 2)
        for block in self.transformer_blocks:
            h = block(h, context)
        h = self.proj_out(h)
        return x + h.reshape(x.shape[0], *x.shape[2:], -1).permute(0, 3, 1, 2)
