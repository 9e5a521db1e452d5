"""Convolutional parts shared by the UNet and the autoencoder, under their published parameter names.

Tensors are ``[N, C, H, W]``; memory format is the caller's choice, and channels-last passes through without copies.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALL_MAP = 1024
"""Positions below which torch's half-precision group norm of channels-last maps on the CPU is slower than float32's:
up to sevenfold at 16x16, measured with torch 2.13."""


class GroupNorm(nn.GroupNorm):
    """Group normalisation that takes the faster way, and the more precise one, for small maps on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.dtype == torch.float32 or x.shape[2] * x.shape[3] >= SMALL_MAP:
            return super().forward(x)
        return F.group_norm(x.float(), self.num_groups, self.weight.float(), self.bias.float(), self.eps).to(x.dtype)


class ResnetBlock(nn.Module):
    """Two normalised convolutions beside a shortcut; the time embedding ``[N, T]``, if any, is added between them."""

    def __init__(self, inputs: int, outputs: int, *, groups: int, eps: float, time_channels: int | None = None) -> None:
        super().__init__()
        self.norm1 = GroupNorm(groups, inputs, eps=eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time_emb_proj = None if time_channels is None else nn.Linear(time_channels, outputs)
        self.norm2 = GroupNorm(groups, outputs, eps=eps)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, emb: Tensor | None = None) -> Tensor:
        """``emb`` is the time embedding after its activation, which is the same for every block of the network."""
        h: Tensor = self.conv1(F.silu(self.norm1(x)))
        if self.time_emb_proj is not None:
            h = h + self.time_emb_proj(emb)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        if self.conv_shortcut is not None:
            x = self.conv_shortcut(x)
        return x + h


class Downsample(nn.Module):
    """Half the height and width by a strided convolution; ``padding=0`` pads right and below only, as the VAE does."""

    def __init__(self, channels: int, *, padding: int) -> None:
        super().__init__()
        self.padding = padding
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        if self.padding == 0:
            x = F.pad(x, (0, 1, 0, 1))
        result: Tensor = self.conv(x)
        return result


class Upsample(nn.Module):
    """Nearest-neighbour enlargement and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: torch.Size | None = None) -> Tensor:
        """``size`` is ``(H, W)`` of the result; twice the input's where it is left out."""
        if size is None or size == (2 * x.shape[2], 2 * x.shape[3]):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        else:
            x = F.interpolate(x, size=size, mode="nearest")
        result: Tensor = self.conv(x)
        return result
