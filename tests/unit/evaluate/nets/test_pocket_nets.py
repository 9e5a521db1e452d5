"""Our nets against those that train: the same weights, the same answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from training import train_clip, train_judge

from limner.errors import LimnerError
from limner.evaluate.nets.judge import Judge, JudgeConfig
from limner.models.nets.clip_vision import Clip, ClipConfig, ClipVisionConfig
from limner.models.weights import load_into


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spread(module: torch.nn.Module) -> None:
    """Weights that leave no part without influence; fresh layers hold zeros and ones."""
    generator = seeded(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
def test_clip_embeds_as_transformers_does(tmp_path: Path, act: str) -> None:
    theirs = train_clip.build(words=50, width=64, layers=3, patch=64).eval()
    theirs.config.vision_config.hidden_act = theirs.config.text_config.hidden_act = act
    theirs = type(theirs)(theirs.config).eval()
    spread(theirs)
    theirs.save_pretrained(tmp_path)
    config = ClipConfig.from_json(theirs.config.to_dict())
    ours = load_into(lambda: Clip(config), [tmp_path / "model.safetensors"], "clip", torch.float32, torch.device("cpu"))
    pictures = torch.rand((3, 3, 256, 256), generator=seeded()) * 2 - 1
    tokens = torch.tensor([[2, 9, 4, 7, 3, 0, 0], [2, 9, 3, 0, 0, 0, 0], [2, 4, 30, 31, 32, 49, 3]])
    with torch.no_grad():
        seen = train_clip._unit(theirs.get_image_features(pixel_values=pictures))
        read = train_clip._unit(theirs.get_text_features(input_ids=tokens, attention_mask=(tokens != 0).long()))
        torch.testing.assert_close(ours.pictures(pictures), seen, rtol=0, atol=2e-6)
        torch.testing.assert_close(ours.texts(tokens), read, rtol=0, atol=2e-6)


def test_the_judge_answers_as_the_training_does(tmp_path: Path) -> None:
    theirs = train_judge.Judge(words=40, width=48, layers=2).eval()
    spread(theirs)
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    config = JudgeConfig.from_json({**theirs.shape, "length": train_judge.LENGTH})
    ours = load_into(
        lambda: Judge(config), [tmp_path / "model.safetensors"], "judge", torch.float32, torch.device("cpu")
    )
    pictures = torch.rand((2, 3, 256, 256), generator=seeded()) * 2 - 1
    questions = torch.randint(1, 40, (2, 3, train_judge.LENGTH), generator=seeded(2))
    questions[:, 0, 5:] = 0
    with torch.no_grad():
        expected = theirs(pictures, questions)
        cells = ours.see(pictures).repeat_interleave(3, 0)
        found = ours(cells, questions.flatten(0, 1)).view(2, 3)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        {"hidden_size": 65, "num_attention_heads": 12},
        {"patch_size": 300},
        {"hidden_size": "wide"},
        {"hidden_act": "relu"},
    ],
)
def test_a_picture_tower_that_cannot_be_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(LimnerError):
        ClipVisionConfig.from_json(config)


def test_a_judge_that_cannot_be_is_refused() -> None:
    with pytest.raises(LimnerError):
        JudgeConfig.from_json({"words": 10, "width": 50})
    with pytest.raises(LimnerError):
        ClipConfig.from_json({"text_config": {}})
