"""Checkpoints of published sizes with random weights, written tensor by tensor: none is ever whole in memory."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

import limner
from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.nets.clip import ClipText, ClipTextConfig
from limner.models.nets.unet import UNet, UNetConfig

Json = Mapping[str, object]

STORED = {"float32": "F32", "float16": "F16"}
SCALE = 0.02
BLOCK = 1 << 22  # numbers drawn at a time
STEM = {"text_encoder": "model", "text_encoder_2": "model"}

CROSS_DOWN, DOWN, CROSS_UP, UP = "CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"
SD_UNET: Json = {
    "_class_name": "UNet2DConditionModel",
    "sample_size": 64,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": [CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, DOWN],
    "up_block_types": [UP, CROSS_UP, CROSS_UP, CROSS_UP],
    "attention_head_dim": 8,
    "cross_attention_dim": 768,
}
XL_UNET: Json = {
    "_class_name": "UNet2DConditionModel",
    "sample_size": 128,
    "block_out_channels": [320, 640, 1280],
    "down_block_types": [DOWN, CROSS_DOWN, CROSS_DOWN],
    "up_block_types": [CROSS_UP, CROSS_UP, UP],
    "attention_head_dim": [5, 10, 20],
    "cross_attention_dim": 2048,
    "transformer_layers_per_block": [1, 2, 10],
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
KL: Json = {
    "_class_name": "AutoencoderKL",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
CLIP_L: Json = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "eos_token_id": 2,
}
CLIP_H: Json = {
    **CLIP_L,
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 23,
}
CLIP_G: Json = {
    **CLIP_L,
    "architectures": ["CLIPTextModelWithProjection"],
    "hidden_act": "gelu",
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 20,
    "num_hidden_layers": 32,
    "projection_dim": 1280,
}


SCHEDULER: Json = {"_class_name": "DDIMScheduler", "steps_offset": 1, "clip_sample": False}


@dataclass(frozen=True, slots=True)
class Size:
    """The pipeline class that diffusers has for a model, and the configs of its parts."""

    pipeline: str
    parts: Mapping[str, Json]


SIZES: Mapping[str, Size] = {
    "sd15": Size("StableDiffusionPipeline", {"text_encoder": CLIP_L, "unet": SD_UNET, "vae": KL}),
    "sd21": Size(
        "StableDiffusionPipeline",
        {
            "text_encoder": CLIP_H,
            "unet": {
                **SD_UNET,
                "attention_head_dim": [5, 10, 20, 20],
                "cross_attention_dim": 1024,
                "use_linear_projection": True,
            },
            "vae": KL,
        },
    ),
    "sdxl": Size(
        "StableDiffusionXLPipeline",
        {"text_encoder": CLIP_L, "text_encoder_2": CLIP_G, "unet": XL_UNET, "vae": {**KL, "scaling_factor": 0.13025}},
    ),
}


def bytes_of(model: str, dtype: str) -> int:
    """Bytes of a model's weights in ``dtype``."""
    width = torch.empty(0, dtype=getattr(torch, dtype)).element_size()
    return sum(tensor.numel() * width for part in SIZES[model].parts for tensor in _shapes(model, part).values())


def write(folder: Path, model: str, dtype: str) -> None:
    """A whole diffusers folder of that model; ``dtype`` is that of its files, float32 or float16."""
    parts = SIZES[model].parts
    for part, config in parts.items():
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(config))
        _weights(
            folder / part / f"{STEM.get(part, 'diffusion_pytorch_model')}.safetensors", _shapes(model, part), dtype
        )
    tokenizer = Path(limner.__file__).parent / "assets" / "pocket" / "tokenizer"
    for name in ("tokenizer", "tokenizer_2") if "text_encoder_2" in parts else ("tokenizer",):
        shutil.copytree(tokenizer, folder / name)
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    (folder / "model_index.json").write_text(json.dumps(_index(model)))


def _index(model: str) -> dict[str, object]:
    words, classes = ["transformers", "PreTrainedTokenizerFast"], SIZES[model].parts
    index: dict[str, object] = {
        "_class_name": SIZES[model].pipeline,
        "scheduler": ["diffusers", "DDIMScheduler"],
        "tokenizer": words,
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
    }
    if "text_encoder_2" in classes:
        return index | {"tokenizer_2": words, "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]}
    return index | {"safety_checker": [None, None], "feature_extractor": [None, None], "requires_safety_checker": False}


def _shapes(model: str, part: str) -> dict[str, torch.Tensor]:
    """Published names and shapes, on the meta device."""
    config = SIZES[model].parts[part]
    makers: Mapping[str, Callable[[], nn.Module]] = {
        "unet": lambda: UNet(UNetConfig.from_json(config)),
        "vae": lambda: Autoencoder(AutoencoderConfig.from_json(config)),
    }
    with torch.device("meta"):
        module = makers[part]() if part in makers else ClipText(ClipTextConfig.from_json(config))
    prefix = "text_model." if part.startswith("text_encoder") else ""
    return {
        name if name.startswith("text_projection") else prefix + name: tensor
        for name, tensor in module.state_dict().items()
    }


def _weights(path: Path, tensors: Mapping[str, torch.Tensor], dtype: str) -> None:
    """A safetensors file of random numbers."""
    width, header, end = np.dtype(dtype).itemsize, {}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.numel() * width
        header[name] = {"dtype": STORED[dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    head += b" " * (-len(head) % 8)
    block = (np.random.default_rng(0).standard_normal(BLOCK, np.float32) * SCALE).astype(dtype)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for left in (tensor.numel() for tensor in tensors.values()):
            for begin in range(0, left, BLOCK):
                file.write(block[: min(BLOCK, left - begin)].tobytes())
