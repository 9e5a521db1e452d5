"""Counts from configs agree with the modules: parameters exactly, operations within 2 % of torch's counter."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from limner.models.estimates import nets as estimate_nets
from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.nets.clip import ClipText, ClipTextConfig
from limner.models.nets.unet import UNet, UNetConfig

Config = Mapping[str, object]

TINY_UNET: Config = {
    "sample_size": 8,
    "layers_per_block": 1,
    "block_out_channels": [32, 64],
    "norm_num_groups": 8,
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
}
SD15_UNET: Config = {"block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768, "attention_head_dim": 8}
SD21_UNET: Config = {
    "cross_attention_dim": 1024,
    "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
}
SDXL_UNET: Config = {
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2, 10],
    "attention_head_dim": [5, 10, 20],
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
LCM_UNET: Config = {**SD15_UNET, "time_cond_proj_dim": 256}
INPAINTING_UNET: Config = {**SD15_UNET, "in_channels": 9}
TINY_VAE: Config = {
    "block_out_channels": [16, 32],
    "norm_num_groups": 8,
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
}
SD_VAE: Config = {
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
TINY_CLIP: Config = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 400,
    "max_position_embeddings": 24,
}
XL_CLIP: Config = {
    "architectures": ["CLIPTextModelWithProjection"],
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
}
SD15_CLIP: Config = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def near(ours: int, theirs: int) -> None:
    assert ours == pytest.approx(theirs, rel=0.02)


@pytest.mark.parametrize(
    ("config", "height", "width", "tokens", "rows"),
    [
        (TINY_UNET, 8, 8, 24, 1),
        (TINY_UNET, 7, 10, 48, 2),
        (SD15_UNET, 64, 64, 77, 2),
        (SD21_UNET, 96, 64, 77, 2),
        (SDXL_UNET, 128, 128, 77, 2),
        (LCM_UNET, 64, 64, 77, 1),
        (INPAINTING_UNET, 64, 64, 77, 2),
    ],
)
def test_a_unet(config: Config, height: int, width: int, tokens: int, rows: int) -> None:
    with torch.device("meta"):
        net = UNet(UNetConfig.from_json(config))
        tally = estimate_nets.unet(config, height, width, tokens, rows)
        assert tally.parameters == parameters(net)
        with FlopCounterMode(display=False) as counter:
            net(
                torch.empty(rows, net.config.in_channels, height, width),
                torch.empty(rows),
                torch.empty(rows, tokens, net.config.cross_attention_dim),
                torch.empty(rows, 1280),
                torch.empty(rows, 6),
                torch.empty(rows),
            )
    near(tally.flops, counter.get_total_flops())


@pytest.mark.parametrize(("config", "side", "rows"), [(TINY_VAE, 8, 1), (SD_VAE, 64, 2)])
def test_an_autoencoder(config: Config, side: int, rows: int) -> None:
    with torch.device("meta"):
        net = Autoencoder(AutoencoderConfig.from_json(config))
        with FlopCounterMode(display=False) as decoding:
            pixels = net.decode(torch.empty(rows, 4, side, side))
        with FlopCounterMode(display=False) as encoding:
            net.encode(pixels)
    there = estimate_nets.encoder(config, pixels.shape[2], pixels.shape[3], rows)
    back = estimate_nets.decoder(config, side, side, rows)
    assert there.parameters == back.parameters == parameters(net)
    near(back.flops, decoding.get_total_flops())
    near(there.flops, encoding.get_total_flops())


@pytest.mark.parametrize(("config", "tokens"), [(TINY_CLIP, 24), (SD15_CLIP, 77), (XL_CLIP, 77)])
def test_a_text_encoder(config: Config, tokens: int) -> None:
    with torch.device("meta"):
        net = ClipText(ClipTextConfig.from_json(config))
        with FlopCounterMode(display=False) as counter:
            net.both(torch.zeros(1, tokens, dtype=torch.long))
    tally = estimate_nets.clip_text(config, tokens)
    assert tally.parameters == parameters(net)
    near(tally.flops, counter.get_total_flops())


def test_more_rows_cost_more_work_and_no_more_weights() -> None:
    one, four = (estimate_nets.unet(TINY_UNET, 8, 8, 24, rows) for rows in (1, 4))
    assert four.parameters == one.parameters
    assert (four.flops, four.peak) == (4 * one.flops, 4 * one.peak)
