"""A diffusers folder of a few kilobytes: right names and configs, random weights of no architecture."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.38.0",
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "requires_safety_checker": True,
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def safetensors(seed: int, count: int = 64) -> bytes:
    """One float32 tensor in the format's own layout."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    return struct.pack("<Q", len(header)) + header + random.Random(seed).randbytes(4 * count)


def files(seed: int = 0, *, count: int = 64) -> dict[str, bytes]:
    """Name to bytes: what is needed, and what a repo often has besides."""

    def text(value: object) -> bytes:
        return json.dumps(value).encode()

    return {
        "README.md": b"# tiny",
        "model_index.json": text(INDEX),
        "scheduler/scheduler_config.json": text({"prediction_type": "epsilon"}),
        "tokenizer/vocab.json": text({"a": 0}),
        "tokenizer/merges.txt": b"#version: 0.2\n",
        "tokenizer/tokenizer_config.json": text({"model_max_length": 77}),
        "text_encoder/config.json": text({"hidden_size": 8, "seed": seed}),
        "text_encoder/model.safetensors": safetensors(seed + 1, count),
        "unet/config.json": text({"sample_size": 8}),
        "unet/diffusion_pytorch_model.safetensors": safetensors(seed + 2, count),
        "unet/diffusion_pytorch_model.non_ema.safetensors": safetensors(seed + 3),
        "vae/config.json": text({"block_out_channels": [8, 8, 8, 8]}),
        "vae/diffusion_pytorch_model.safetensors": safetensors(seed + 4, count),
        "safety_checker/pytorch_model.bin": b"\x80\x02not read",
    }


def write(folder: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
