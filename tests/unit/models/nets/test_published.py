"""The published configs of Stable Diffusion 1.5 and 2.1 build networks with just the published parameters.

On the meta device: names and shapes, no memory.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.nets.clip import ClipText, ClipTextConfig
from limner.models.nets.unet import UNet, UNetConfig

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

SD15_UNET: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.6.0",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 768,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
}
SD21_UNET: dict[str, Any] = SD15_UNET | {
    "_diffusers_version": "0.10.0.dev0",
    "attention_head_dim": [5, 10, 20, 20],
    "cross_attention_dim": 1024,
    "dual_cross_attention": False,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "sample_size": 96,
    "upcast_attention": True,
    "use_linear_projection": True,
}
SD15_VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.6.0",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 512,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
SD15_CLIP: dict[str, Any] = {
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "dropout": 0.0,
    "eos_token_id": 2,
    "hidden_act": "quick_gelu",
    "hidden_size": 768,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 1,
    "projection_dim": 768,
    "torch_dtype": "float32",
    "vocab_size": 49408,
}
SD21_CLIP: dict[str, Any] = SD15_CLIP | {
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 23,
    "projection_dim": 512,
}


def parameters(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(("config", "millions"), [(SD15_UNET, 859.5), (SD21_UNET, 865.9)], ids=["sd15", "sd21"])
def test_unet(config: dict[str, Any], millions: float) -> None:
    with torch.device("meta"):
        ours, theirs = UNet(UNetConfig.from_json(config)), diffusers.UNet2DConditionModel.from_config(config)
    assert parameters(ours) == parameters(theirs)
    assert sum(p.numel() for p in ours.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("newer", [{}, {"scaling_factor": 0.18215, "force_upcast": False}], ids=["sd15", "sd21"])
def test_autoencoder(newer: dict[str, Any]) -> None:
    with torch.device("meta"):
        ours = Autoencoder(AutoencoderConfig.from_json(SD15_VAE | newer))
        theirs = diffusers.AutoencoderKL.from_config(SD15_VAE | newer)
    assert parameters(ours) == parameters(theirs)
    assert ours.config.scaling_factor == 0.18215


@pytest.mark.parametrize("config", [SD15_CLIP, SD21_CLIP], ids=["sd15", "sd21"])
def test_text_encoder(config: dict[str, Any]) -> None:
    with torch.device("meta"):
        ours = ClipText(ClipTextConfig.from_json(config))
        theirs = transformers.CLIPTextModel(transformers.CLIPTextConfig(**config))
    assert parameters(ours) == parameters(theirs)
