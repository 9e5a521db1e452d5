"""The denoising network of Stable Diffusion 1, 2 and XL under the published parameter names (Rombach et al. 2022,
arXiv:2112.10752; Podell et al. 2023, arXiv:2307.01952)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.nets.attention import SpatialTransformer
from limner.models.nets.blocks import Downsample, GroupNorm, ResnetBlock, Upsample
from limner.models.nets.configs import UNetConfig

__all__ = ["UNet", "UNetConfig", "guidance_embedding", "timestep_embedding"]

MAX_PERIOD = 10_000.0
GUIDANCE_SCALE = 1000.0  # guidance is embedded as a time of this many steps a unit


def timestep_embedding(t: Tensor, channels: int, *, cos_first: bool, shift: float) -> Tensor:
    """Sinusoids ``[N, channels]`` in float32 of the timesteps ``[N]``, fractions allowed (Vaswani et al. 2017)."""
    half = channels // 2
    steps = torch.arange(half, dtype=torch.float32, device=t.device)
    angles = t.float()[:, None] * torch.exp(steps * (-math.log(MAX_PERIOD) / (half - shift)))
    sin, cos = angles.sin(), angles.cos()
    emb = torch.cat((cos, sin) if cos_first else (sin, cos), dim=-1)
    return F.pad(emb, (0, channels % 2))


def guidance_embedding(guidance: Tensor, channels: int) -> Tensor:
    """Sinusoids ``[N, channels]`` in float32 of the guidance strengths ``[N]``, 1 being none (Luo et al. 2023)."""
    return timestep_embedding((guidance.float() - 1) * GUIDANCE_SCALE, channels, cos_first=False, shift=1)


class TimeEmbedding(nn.Module):
    def __init__(self, channels: int, hidden: int, condition: int | None = None) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(channels, hidden)
        self.cond_proj = None if condition is None else nn.Linear(condition, channels, bias=False)
        self.linear_2 = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        if self.cond_proj is not None and condition is not None:
            x = x + self.cond_proj(condition)
        result: Tensor = self.linear_2(F.silu(self.linear_1(x)))
        return result


class Block(nn.Module):
    """Resnets, each followed by a transformer where the block has them, then a change of size where it has one."""

    def __init__(self) -> None:
        super().__init__()
        self.resnets = nn.ModuleList()

    def add_transformers(self, config: UNetConfig, level: int, count: int) -> None:
        self.attentions = nn.ModuleList(
            SpatialTransformer(
                config.block_out_channels[level],
                config.heads[level],
                config.cross_attention_dim,
                layers=config.transformer_layers_per_block[level],
                groups=config.norm_num_groups,
                linear=config.use_linear_projection,
            )
            for _ in range(count)
        )

    def layer(self, i: int, x: Tensor, emb: Tensor, context: Tensor) -> Tensor:
        x = self.resnets[i](x, emb)
        if hasattr(self, "attentions"):
            x = self.attentions[i](x, context)
        return x


class DownBlock(Block):
    def __init__(self, config: UNetConfig, level: int, inputs: int) -> None:
        super().__init__()
        outputs, count = config.block_out_channels[level], config.layers_per_block[level]
        if config.down_block_types[level].startswith("CrossAttn"):
            self.add_transformers(config, level, count)
        for i in range(count):
            self.resnets.append(_resnet(config, inputs if i == 0 else outputs, outputs))
        self.downsamplers = nn.ModuleList()
        if level < len(config.block_out_channels) - 1:
            self.downsamplers.append(Downsample(outputs, padding=config.downsample_padding))

    def forward(self, x: Tensor, emb: Tensor, context: Tensor, skips: list[Tensor]) -> Tensor:
        """Leaves every intermediate result in ``skips`` for the way up."""
        for i in range(len(self.resnets)):
            x = self.layer(i, x, emb, context)
            skips.append(x)
        for downsample in self.downsamplers:
            x = downsample(x)
            skips.append(x)
        return x


class MidBlock(Block):
    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        channels = config.block_out_channels[-1]
        self.add_transformers(config, -1, 1)
        self.resnets.extend(_resnet(config, channels, channels) for _ in range(2))

    def forward(self, x: Tensor, emb: Tensor, context: Tensor) -> Tensor:
        result: Tensor = self.resnets[1](self.layer(0, x, emb, context), emb)
        return result


class UpBlock(Block):
    def __init__(self, config: UNetConfig, level: int, block_type: str, inputs: int, skips: list[int]) -> None:
        super().__init__()
        outputs, count = config.block_out_channels[level], config.layers_per_block[level] + 1
        if block_type.startswith("CrossAttn"):
            self.add_transformers(config, level, count)
        for i in range(count):
            self.resnets.append(_resnet(config, (inputs if i == 0 else outputs) + skips.pop(), outputs))
        self.upsamplers = nn.ModuleList([Upsample(outputs)] if level > 0 else [])

    def forward(self, x: Tensor, emb: Tensor, context: Tensor, skips: list[Tensor]) -> Tensor:
        for i in range(len(self.resnets)):
            x = self.layer(i, torch.cat((x, skips.pop()), dim=1), emb, context)
        for upsample in self.upsamplers:
            # Not always twice: a side that was odd on the way down was rounded up there.
            x = upsample(x, skips[-1].shape[2:])
        return x


class UNet(nn.Module):
    """Predicts noise, velocity or what else it was trained to, from a noisy latent, its timestep and the text."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        first = config.block_out_channels[0]
        self.conv_in = nn.Conv2d(config.in_channels, first, 3, padding=1)
        hidden, added = config.time_embedding_dim, config.projection_class_embeddings_input_dim
        self.time_embedding = TimeEmbedding(first, hidden, config.time_cond_proj_dim)
        self.add_embedding = TimeEmbedding(added, hidden) if config.addition_embed_type else None
        self.down_blocks = nn.ModuleList()
        self.up_blocks = nn.ModuleList()
        skips, width = [first], first
        for level, outputs in enumerate(config.block_out_channels):
            block = DownBlock(config, level, width)
            skips += [outputs] * (len(block.resnets) + len(block.downsamplers))
            self.down_blocks.append(block)
            width = outputs
        self.mid_block = MidBlock(config)
        for level, block_type in zip(
            reversed(range(len(config.block_out_channels))), config.up_block_types, strict=True
        ):
            self.up_blocks.append(UpBlock(config, level, block_type, width, skips))
            width = config.block_out_channels[level]
        self.conv_norm_out = GroupNorm(config.norm_num_groups, first, eps=config.norm_eps)
        self.conv_out = nn.Conv2d(first, config.out_channels, 3, padding=1)

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        context: Tensor,
        pooled: Tensor | None = None,
        numbers: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        """One denoising call.

        Args:
            sample: ``[N, C, H, W]`` in the network's dtype; any H and W of at least the downsample factor.
            timestep: ``[N]``, one for each row, in training steps (0 to 999); fractions are meant as such.
            context: ``[N, L, D]`` text states.
            pooled: ``[N, P]`` the pooled text, where the network has an addition embedding.
            numbers: ``[N, k]`` what it is told of the picture there: sizes and offsets in pixels, or a score.
            guidance: ``[N]`` the guidance to imitate, where the network has an embedding for it (1 is none).

        Returns:
            ``[N, C_out, H, W]`` in the network's dtype.

        Raises:
            ValueError: the network has an addition or a guidance embedding, and nothing was given for it.
        """
        emb = self._embedding(timestep, guidance, sample.dtype)
        if self.add_embedding is not None:
            if pooled is None or numbers is None:
                raise ValueError("this network wants a pooled text and the picture's numbers")
            told = self._sinusoid(numbers.flatten()).reshape(len(numbers), -1)
            emb = emb + self.add_embedding(torch.cat((pooled, told.to(pooled.dtype)), dim=-1).to(sample.dtype))
        # Every resnet applies the same activation to the embedding, so it is applied once here.
        emb = F.silu(emb)
        x = self.conv_in(sample)
        skips = [x]
        for block in self.down_blocks:
            x = block(x, emb, context, skips)
        x = self.mid_block(x, emb, context)
        for block in self.up_blocks:
            x = block(x, emb, context, skips)
        result: Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return result

    def _embedding(self, timestep: Tensor, guidance: Tensor | None, dtype: torch.dtype) -> Tensor:
        config = self.config
        sinusoid = timestep_embedding(
            timestep, config.block_out_channels[0], cos_first=config.flip_sin_to_cos, shift=config.freq_shift
        )
        condition = None
        if config.time_cond_proj_dim is not None:
            if guidance is None:
                raise ValueError("this network wants to know the guidance")
            condition = guidance_embedding(guidance, config.time_cond_proj_dim).to(dtype)
        result: Tensor = self.time_embedding(sinusoid.to(dtype), condition)
        return result

    def _sinusoid(self, numbers: Tensor) -> Tensor:
        config = self.config
        return timestep_embedding(
            numbers, config.addition_time_embed_dim, cos_first=config.flip_sin_to_cos, shift=config.freq_shift
        )


def _resnet(config: UNetConfig, inputs: int, outputs: int) -> ResnetBlock:
    return ResnetBlock(
        inputs,
        outputs,
        groups=config.norm_num_groups,
        eps=config.norm_eps,
        time_channels=config.time_embedding_dim,
    )
