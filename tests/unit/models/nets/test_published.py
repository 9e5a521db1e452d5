"""The published configs of Stable Diffusion 1.5, 2.1 and XL (base, refiner, turbo, LCM) build networks with
just the published parameters.

On the meta device: names and shapes, no memory.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from limner.models.nets.aliases import canonical_names
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
SD15_INPAINTING: dict[str, Any] = SD15_UNET | {"in_channels": 9}
SDXL_UNET: dict[str, Any] = SD21_UNET | {
    "_diffusers_version": "0.19.0.dev0",
    "addition_embed_type": "text_time",
    "addition_embed_type_num_heads": 64,
    "addition_time_embed_dim": 256,
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "class_embed_type": None,
    "class_embeddings_concat": False,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "cross_attention_dim": 2048,
    "cross_attention_norm": None,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "mid_block_only_cross_attention": None,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "num_attention_heads": None,
    "projection_class_embeddings_input_dim": 2816,
    "resnet_out_scale_factor": 1.0,
    "resnet_skip_time_act": False,
    "resnet_time_scale_shift": "default",
    "sample_size": 128,
    "time_cond_proj_dim": None,
    "time_embedding_act_fn": None,
    "time_embedding_dim": None,
    "time_embedding_type": "positional",
    "timestep_post_act": None,
    "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "upcast_attention": None,
}
SDXL_TURBO: dict[str, Any] = (
    SDXL_UNET
    | {"sample_size": 64, "attention_type": "default", "dropout": 0.0}
    | {"reverse_transformer_layers_per_block": None}
)
SDXL_LCM: dict[str, Any] = SDXL_TURBO | {"sample_size": 128, "time_cond_proj_dim": 256}
SDXL_REFINER: dict[str, Any] = SDXL_UNET | {
    "attention_head_dim": [6, 12, 24, 24],
    "block_out_channels": [384, 768, 1536, 1536],
    "cross_attention_dim": 1280,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "projection_class_embeddings_input_dim": 2560,
    "transformer_layers_per_block": 4,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
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
SDXL_CLIP_2: dict[str, Any] = SD15_CLIP | {
    "architectures": ["CLIPTextModelWithProjection"],
    "hidden_act": "gelu",
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 20,
    "num_hidden_layers": 32,
    "projection_dim": 1280,
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


UNETS = {
    "sd15": (SD15_UNET, 859.5),
    "sd15-inpainting": (SD15_INPAINTING, 859.5),
    "sd21": (SD21_UNET, 865.9),
    "sdxl": (SDXL_UNET, 2567.5),
    "sdxl-turbo": (SDXL_TURBO, 2567.5),
    "sdxl-lcm": (SDXL_LCM, 2567.5),
    "sdxl-refiner": (SDXL_REFINER, 2259.5),
}


@pytest.mark.parametrize(("config", "millions"), UNETS.values(), ids=UNETS)
def test_unet(config: dict[str, Any], millions: float) -> None:
    with torch.device("meta"):
        ours, theirs = UNet(UNetConfig.from_json(config)), diffusers.UNet2DConditionModel.from_config(config)
    assert parameters(ours) == parameters(theirs)
    assert sum(p.numel() for p in ours.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


NEWER_VAE: dict[str, dict[str, Any]] = {
    "sd15": {},
    "sd21": {"scaling_factor": 0.18215, "force_upcast": False},
    "sdxl": {"scaling_factor": 0.13025, "force_upcast": True, "sample_size": 1024},
    "sdxl-turbo": {"scaling_factor": 0.13025, "latents_mean": None, "latents_std": None},
}


@pytest.mark.parametrize("newer", NEWER_VAE.values(), ids=NEWER_VAE)
def test_autoencoder(newer: dict[str, Any]) -> None:
    with torch.device("meta"):
        ours = Autoencoder(AutoencoderConfig.from_json(SD15_VAE | newer))
        theirs = diffusers.AutoencoderKL.from_config(SD15_VAE | newer)
    assert parameters(ours) == parameters(theirs)
    assert ours.config.scaling_factor == newer.get("scaling_factor", 0.18215)


@pytest.mark.parametrize("config", [SD15_CLIP, SD21_CLIP], ids=["sd15", "sd21"])
def test_text_encoder(config: dict[str, Any]) -> None:
    with torch.device("meta"):
        ours = ClipText(ClipTextConfig.from_json(config))
        theirs = transformers.CLIPTextModel(transformers.CLIPTextConfig(**config))
    assert parameters(ours) == parameters(theirs)


def test_text_encoder_with_a_projection() -> None:
    with torch.device("meta"):
        ours = ClipText(ClipTextConfig.from_json(SDXL_CLIP_2))
        theirs = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**SDXL_CLIP_2))
    stored = canonical_names("text_encoder_2", theirs.state_dict())
    assert parameters(ours) == {stored[name]: shape for name, shape in parameters(theirs).items()}


def test_files_saved_by_older_versions_hold_the_same_parameters() -> None:
    """The names of the first releases: attention of the autoencoder, CLIP inside a larger model, stored positions."""
    with torch.device("meta"):
        vae, clip = Autoencoder(AutoencoderConfig.from_json(SD15_VAE)), ClipText(ClipTextConfig.from_json(SD15_CLIP))
    newer = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old_vae = list(parameters(vae))
    for new, old in newer.items():
        old_vae = [name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.") for name in old_vae]
    assert sum("proj_attn" in name for name in old_vae) == 4
    assert sorted(str(n) for n in canonical_names("vae", old_vae).values()) == sorted(parameters(vae))
    old_clip = [f"text_model.{name}" for name in parameters(clip)] + ["text_model.embeddings.position_ids"]
    assert {n for n in canonical_names("text_encoder", old_clip).values() if n} == set(parameters(clip))
