"""Small random weights of the pocket scorers and LPIPS, under the names that their readers expect."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from limner.evaluate.nets.detector import Detector, DetectorConfig
from limner.evaluate.pocket_words import world
from limner.models.nets.clip_vision import Clip, ClipConfig

SPECIAL = ("<pad>", "<unk>", "<bos>", "<eos>")
WORDS = ("a", "an", "the", "red", "blue", "is", "are", "there", "any", "fox", "dog", "cats", "in", "on", "snow", "two")
VOCAB = {word: k for k, word in enumerate((*SPECIAL, *WORDS))}
_SHARED = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
CLIP = {
    "projection_dim": 16,
    "text_config": {**_SHARED, "vocab_size": len(VOCAB), "max_position_embeddings": 32, "eos_token_id": 3},
    "vision_config": {**_SHARED, "image_size": 256, "patch_size": 64},
}
JUDGE: dict[str, object] = {
    "things": [names[0][0] for names in world().things],
    "widths": [4, 8, 8],
    "blocks": [0, 0, 1],
    "hidden": 8,
    "calibration": {"thing": [0.5, 0.1]},
}
ALEXNET = (
    (0, 3, 64, 11, 4, 2),
    (3, 64, 192, 5, 1, 2),
    (6, 192, 384, 3, 1, 1),
    (8, 384, 256, 3, 1, 1),
    (10, 256, 256, 3, 1, 1),
)
"""Place, channels before and after, kernel, stride, padding."""


def write_clip(folder: Path) -> Path:
    """pocket-clip, small."""
    return _written(folder, Clip(ClipConfig.from_json(CLIP)), CLIP)


def write_judge(folder: Path) -> Path:
    """pocket-judge, small."""
    return _written(folder, Detector(DetectorConfig.from_json(JUDGE)), JUDGE)


def fresh(config: dict[str, object]) -> dict[str, Tensor]:
    """Random weights of a judge of this shape."""
    return _random(Detector(DetectorConfig.from_json(config)))


def _random(net: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: 0.3 * torch.randn(p.shape, generator=generator) for name, p in net.state_dict().items()}


def _written(folder: Path, net: nn.Module, config: dict[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(_random(net), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**config, "vocab": VOCAB}))
    (folder / "card.json").write_text(json.dumps({"revision": "small", "verified": "random", "size_bytes": 1}))
    return folder


def write_lpips(folder: Path, source: str = "") -> Path:
    """AlexNet as torchvision publishes it, and its channels' weights as the authors do. ``source``: the converter's
    note of the pickle's hash."""
    alex, channels = lpips_weights()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(alex, folder / "alexnet.safetensors", {"limner.source": source})
    save_file(channels, folder / "channels.safetensors")
    return folder


def lpips_weights() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of the two files."""
    generator = torch.Generator().manual_seed(0)
    alex, channels = {}, {}
    for k, (at, before, after, kernel, _, _) in enumerate(ALEXNET):
        spread = (2 / (before * kernel * kernel)) ** 0.5
        alex[f"features.{at}.weight"] = spread * torch.randn((after, before, kernel, kernel), generator=generator)
        alex[f"features.{at}.bias"] = 0.1 * torch.randn(after, generator=generator)
        channels[f"lin{k}.model.1.weight"] = torch.rand((1, after, 1, 1), generator=generator)
    alex["classifier.1.weight"] = torch.zeros(2, 2)
    return alex, channels
