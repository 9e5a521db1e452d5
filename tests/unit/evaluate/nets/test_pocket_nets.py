"""Our nets against those that train: the same weights, the same answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from training import train_clip, train_detector
from training.clip_hints import towers

from limner.errors import LimnerError
from limner.evaluate.nets.detector import Detector, DetectorConfig
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
    theirs = train_clip.build(words=50, width=64, layers=3).eval()
    theirs.config.vision_config.hidden_act = theirs.config.text_config.hidden_act = act
    theirs = type(theirs)(theirs.config).eval()
    spread(theirs)
    theirs.save_pretrained(tmp_path)
    config = ClipConfig.from_json(theirs.config.to_dict())
    ours = load_into(lambda: Clip(config), [tmp_path / "model.safetensors"], "clip", torch.float32, torch.device("cpu"))
    pictures = torch.rand((3, 3, 128, 128), generator=seeded()) * 2 - 1
    tokens = torch.tensor([[2, 9, 4, 7, 3, 0, 0], [2, 9, 3, 0, 0, 0, 0], [2, 4, 30, 31, 32, 49, 3]])
    with torch.no_grad():
        seen, read, *_ = towers(theirs, pictures, tokens)
        torch.testing.assert_close(ours.pictures(pictures), seen, rtol=0, atol=2e-6)
        torch.testing.assert_close(ours.texts(tokens), read, rtol=0, atol=2e-6)


SMALL = DetectorConfig(("fox", "cat"), (4, 8, 12), (0, 1, 1), 8)


def test_the_detector_sees_as_the_one_that_was_trained_with_norms(tmp_path: Path) -> None:
    theirs = train_detector.build(SMALL)
    spread(theirs)
    pictures = torch.rand((4, 3, 128, 128), generator=seeded()) * 2 - 1
    train_detector.settle(theirs, pictures)
    theirs.eval()
    save_file({k: v.contiguous() for k, v in train_detector.folded(theirs).items()}, tmp_path / "model.safetensors")
    ours = load_into(
        lambda: Detector(SMALL), [tmp_path / "model.safetensors"], "judge", torch.float32, torch.device("cpu")
    )
    with torch.no_grad():
        for found, expected in zip(ours(pictures), theirs(pictures), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_larger_pictures_are_averaged_down() -> None:
    net = Detector(SMALL).eval()
    spread(net)
    pictures = torch.rand((1, 3, 128, 128), generator=seeded()) * 2 - 1
    large = pictures.repeat_interleave(2, 2).repeat_interleave(2, 3)
    with torch.no_grad():
        torch.testing.assert_close(net(large).things, net(pictures).things)


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"things": []},
        {"things": ["fox", "fox"]},
        {"things": [1]},
        {"widths": [32, 64]},
        {"blocks": [0, 0, -1]},
        {"calibration": {"thing": [1.0, "high"]}},
        {"calibration": []},
    ],
)
def test_a_judge_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(LimnerError):
        DetectorConfig.from_json({"things": ["fox"], "widths": [32, 64, 96], "blocks": [0, 0, 1], **wrong})


def test_a_clip_without_sizes_is_refused() -> None:
    with pytest.raises(LimnerError):
        ClipConfig.from_json({"text_config": {}})
