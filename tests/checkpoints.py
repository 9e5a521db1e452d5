"""Small Stable Diffusion checkpoints with random weights, written by diffusers and transformers themselves."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

import limner

POCKET = Path(limner.__file__).parent / "assets" / "pocket"

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


def write(folder: Path, kind: Mapping[str, object], *, seed: int = 0) -> Path:
    """A whole checkpoint in diffusers folder layout; returns the folder."""
    torch.manual_seed(seed)
    tokenizer = folder.parent / f"{folder.name}-tokenizer"
    shutil.copytree(POCKET / "tokenizer", tokenizer)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=400,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=24,
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
            **kind["text"],  # type: ignore[arg-type]
        )
    )
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
    vae = AutoencoderKL(
        block_out_channels=(16, 32),
        norm_num_groups=8,
        latent_channels=4,
        layers_per_block=1,
        sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=PreTrainedTokenizerFast.from_pretrained(tokenizer),
        unet=unet,
        scheduler=DDIMScheduler(**kind["scheduler"]),  # type: ignore[arg-type]
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder
