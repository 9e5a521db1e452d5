"""Small checkpoints of Stable Diffusion 1, 2 and XL with random weights, written by diffusers and transformers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, PreTrainedTokenizerFast

import limner

POCKET = Path(limner.__file__).parent / "assets" / "pocket"
WORDS = json.loads((POCKET / "tokenizer" / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
LENGTH = json.loads((POCKET / "tokenizer" / "tokenizer_config.json").read_text("utf-8"))["model_max_length"]
VOCABULARY = -(-len(WORDS) // 100) * 100
"""Rows of a small text encoder that reads the built-in model's words, with some to spare."""

SD1_LIKE: Mapping[str, object] = {
    "text": {"hidden_act": "quick_gelu"},
    "unet": {"attention_head_dim": 4},
    "scheduler": {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
        "set_alpha_to_one": False,
        "clip_sample": False,
    },
}
SD2_LIKE: Mapping[str, object] = {
    "text": {"hidden_act": "gelu"},
    "unet": {"attention_head_dim": (2, 4), "use_linear_projection": True},
    "scheduler": {**SD1_LIKE["scheduler"], "prediction_type": "v_prediction"},  # type: ignore[dict-item]
}
OLD_LIKE: Mapping[str, object] = {
    **SD1_LIKE,
    "scheduler": {**SD1_LIKE["scheduler"], "steps_offset": 0, "timestep_spacing": "leading"},  # type: ignore[dict-item]
}
ZERO_SNR_LIKE: Mapping[str, object] = {
    **SD2_LIKE,
    "scheduler": {
        **SD2_LIKE["scheduler"],  # type: ignore[dict-item]
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
        "steps_offset": 0,
        "set_alpha_to_one": True,
    },
}


LCM_LIKE: Mapping[str, object] = {**SD1_LIKE, "unet": {"attention_head_dim": 4, "time_cond_proj_dim": 12}}

XL_BASE: Mapping[str, object] = {"unet": {}, "index": {}, "scheduler": SD1_LIKE["scheduler"]}
XL_TURBO: Mapping[str, object] = {
    **XL_BASE,
    "scheduler": {**SD1_LIKE["scheduler"], "timestep_spacing": "trailing"},  # type: ignore[dict-item]
}
XL_LCM: Mapping[str, object] = {**XL_BASE, "unet": {"time_cond_proj_dim": 12}}
XL_NO_ZEROS: Mapping[str, object] = {**XL_BASE, "index": {"force_zeros_for_empty_prompt": False}}
XL_REFINER: Mapping[str, object] = {
    **XL_BASE,
    "unet": {"projection_class_embeddings_input_dim": 16 + 5 * 8, "cross_attention_dim": 24},
    "index": {"force_zeros_for_empty_prompt": False, "requires_aesthetics_score": True},
}


def write(folder: Path, kind: Mapping[str, object], *, seed: int = 0) -> Path:
    """A whole checkpoint in diffusers folder layout; returns the folder."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(32, 64),
        norm_num_groups=8,
        cross_attention_dim=32,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        **kind["unet"],  # type: ignore[arg-type]
    )
    StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text(32, **kind["text"])),  # type: ignore[arg-type]
        tokenizer=_tokenizer(folder, "tokenizer"),
        unet=unet,
        scheduler=DDIMScheduler(**kind["scheduler"]),  # type: ignore[arg-type]
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def write_xl(folder: Path, kind: Mapping[str, object], *, seed: int = 0) -> Path:
    """A whole SDXL checkpoint; the refiner has the second text encoder only, and is saved as the class that draws
    from a picture. Returns the folder."""
    torch.manual_seed(seed)
    settings: dict[str, object] = {
        "cross_attention_dim": 56,
        "projection_class_embeddings_input_dim": 16 + 6 * 8,
        **kind["unet"],  # type: ignore[dict-item]
    }
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(32, 64),
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        **settings,
    )
    refiner = kind is XL_REFINER
    pipeline = StableDiffusionXLImg2ImgPipeline if refiner else StableDiffusionXLPipeline
    first = None if refiner else CLIPTextModel(_text(32, hidden_act="quick_gelu", eos_token_id=2))
    pipeline(
        vae=_vae(scaling_factor=0.13025),
        text_encoder=first,
        text_encoder_2=CLIPTextModelWithProjection(_text(24, hidden_act="gelu", projection_dim=16)),
        tokenizer=None if refiner else _tokenizer(folder, "tokenizer"),
        tokenizer_2=_tokenizer(folder, "tokenizer-2"),
        unet=unet,
        scheduler=DDIMScheduler(**kind["scheduler"]),  # type: ignore[arg-type]
        add_watermarker=False,
        **kind["index"],  # type: ignore[arg-type]
    ).save_pretrained(folder)
    return folder


def _text(width: int, **more: object) -> CLIPTextConfig:
    settings: dict[str, object] = {
        "vocab_size": VOCABULARY,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": LENGTH,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "pad_token_id": 0,
    }
    return CLIPTextConfig(**(settings | more))


def _vae(**more: object) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(16, 32),
        norm_num_groups=8,
        latent_channels=4,
        layers_per_block=1,
        sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        **more,
    )


def _tokenizer(folder: Path, name: str) -> PreTrainedTokenizerFast:
    copied = folder.parent / f"{folder.name}-{name}"
    shutil.copytree(POCKET / "tokenizer", copied)
    return PreTrainedTokenizerFast.from_pretrained(copied)
