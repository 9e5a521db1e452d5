"""The published networks have as many numbers as their authors say: shapes without memory."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import nn

from limner.evaluate.hps import H14
from limner.evaluate.towers_blip import BlipConfig, Reward
from limner.models.nets.clip_vision import Clip, ClipConfig

B32: Mapping[str, object] = {
    "projection_dim": 512,
    "text_config": {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "eos_token_id": 2},
    "vision_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "patch_size": 32},
}
L14: Mapping[str, object] = {
    "projection_dim": 768,
    "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "eos_token_id": 2},
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
    },
}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("config", "published"), [(B32, 151_277_313), (L14, 427_616_513), (H14, 986_109_441)])
def test_clip(config: Mapping[str, object], published: int) -> None:
    with torch.device("meta"):
        assert count(Clip(ClipConfig.from_json(config))) == published


def test_image_reward_fills_its_file() -> None:
    """1,786,880,927 bytes of float32 and what a pickle adds: some hundred kilobytes, and heads of training."""
    with torch.device("meta"):
        numbers = 4 * count(Reward(BlipConfig()))
    assert 0 < 1_786_880_927 - numbers < 3_000_000
