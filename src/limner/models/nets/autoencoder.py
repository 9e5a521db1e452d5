"""The autoencoder of latent diffusion, AutoencoderKL, under the published parameter names (arXiv:2112.10752)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.nets.blocks import Downsample, GroupNorm, ResnetBlock, Upsample
from limner.models.nets.configs import AutoencoderConfig

__all__ = ["Autoencoder", "AutoencoderConfig"]

NORM_EPS = 1e-6
LOGVAR_RANGE = (-30.0, 20.0)


class SpatialAttention(nn.Module):
    """Single-head attention over the positions of ``[N, C, H, W]``, added to its input."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.group_norm = GroupNorm(groups, channels, eps=NORM_EPS)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        # A list, because the published name is `to_out.0`.
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        h = self.group_norm(x).permute(0, 2, 3, 1).flatten(1, 2)
        q, k, v = (project(h).unsqueeze(1) for project in (self.to_q, self.to_k, self.to_v))
        seen: Tensor = self.to_out[0](F.scaled_dot_product_attention(q, k, v).squeeze(1))
        return x + seen.reshape(x.shape[0], *x.shape[2:], -1).permute(0, 3, 1, 2)


class MidBlock(nn.Module):
    def __init__(self, channels: int, config: AutoencoderConfig) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(_resnet(config, channels, channels) for _ in range(2))
        wanted = [SpatialAttention(channels, config.norm_num_groups)] if config.mid_block_add_attention else []
        self.attentions = nn.ModuleList(wanted)

    def forward(self, x: Tensor) -> Tensor:
        x = self.resnets[0](x)
        for attention in self.attentions:
            x = attention(x)
        result: Tensor = self.resnets[1](x)
        return result


class EncoderBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, config: AutoencoderConfig, *, last: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(
            _resnet(config, inputs if i == 0 else outputs, outputs) for i in range(config.layers_per_block)
        )
        self.downsamplers = nn.ModuleList([] if last else [Downsample(outputs, padding=0)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in (*self.resnets, *self.downsamplers):
            x = layer(x)
        return x


class DecoderBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, config: AutoencoderConfig, *, last: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(
            _resnet(config, inputs if i == 0 else outputs, outputs) for i in range(config.layers_per_block + 1)
        )
        self.upsamplers = nn.ModuleList([] if last else [Upsample(outputs)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in (*self.resnets, *self.upsamplers):
            x = layer(x)
        return x


class Encoder(nn.Module):
    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths = config.block_out_channels
        self.conv_in = nn.Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            EncoderBlock(widths[max(i - 1, 0)], width, config, last=i == len(widths) - 1)
            for i, width in enumerate(widths)
        )
        self.mid_block = MidBlock(widths[-1], config)
        self.conv_norm_out = GroupNorm(config.norm_num_groups, widths[-1], eps=NORM_EPS)
        # Mean and log-variance, stacked along the channels.
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.latent_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        x = self.mid_block(x)
        result: Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return result


class Decoder(nn.Module):
    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths = config.block_out_channels[::-1]
        self.conv_in = nn.Conv2d(config.latent_channels, widths[0], 3, padding=1)
        self.mid_block = MidBlock(widths[0], config)
        self.up_blocks = nn.ModuleList(
            DecoderBlock(widths[max(i - 1, 0)], width, config, last=i == len(widths) - 1)
            for i, width in enumerate(widths)
        )
        self.conv_norm_out = GroupNorm(config.norm_num_groups, widths[-1], eps=NORM_EPS)
        self.conv_out = nn.Conv2d(widths[-1], config.out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            x = block(x)
        result: Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return result


class Autoencoder(nn.Module):
    """Pixels in -1..1 to latents ``downsample_factor`` times smaller along each side, and back."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        latent = config.latent_channels
        self.quant_conv = nn.Conv2d(2 * latent, 2 * latent, 1) if config.use_quant_conv else None
        self.post_quant_conv = nn.Conv2d(latent, latent, 1) if config.use_post_quant_conv else None

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance ``[N, latent, H/f, W/f]``, not yet scaled, of ``pixels`` ``[N, 3, H, W]`` in -1..1."""
        moments = self.encoder(pixels)
        if self.quant_conv is not None:
            moments = self.quant_conv(moments)
        mean, logvar = moments.chunk(2, dim=1)
        return mean, logvar.clamp(*LOGVAR_RANGE)

    def decode(self, latents: Tensor) -> Tensor:
        """Pixels ``[N, 3, H*f, W*f]``, about -1..1 and not clipped, of ``latents`` ``[N, latent, H, W]``.

        The latents are those of :meth:`encode`: already divided by ``scaling_factor`` and with ``shift_factor`` added.
        """
        if self.post_quant_conv is not None:
            latents = self.post_quant_conv(latents)
        pixels: Tensor = self.decoder(latents)
        return pixels

    def forward(self, latents: Tensor) -> Tensor:
        """Same as :meth:`decode`, the way every picture takes."""
        return self.decode(latents)


def _resnet(config: AutoencoderConfig, inputs: int, outputs: int) -> ResnetBlock:
    return ResnetBlock(inputs, outputs, groups=config.norm_num_groups, eps=NORM_EPS)
