"""CMMD's embedding against transformers' CLIP on the same weights, and the flag of a small set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import CLIPModel

from limner.evaluate.cache import ScoreCache
from limner.evaluate.kernel_cmmd import Cmmd, shown
from limner.evaluate.kernel_distance import cmmd
from tests import scorers
from tests.unit.evaluate.test_model_free import scene

IMAGES = [scene(k, 40)[:36] for k in range(4)]


def test_embeddings_are_those_of_transformers(tmp_path: Path) -> None:
    metric = Cmmd(scorers.clip(tmp_path))
    found = np.stack(metric.embed(IMAGES, ScoreCache(None)))
    theirs = CLIPModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
    side = theirs.config.vision_config.image_size
    with torch.no_grad():
        seen = theirs.get_image_features(pixel_values=torch.cat([shown(image, side) for image in IMAGES]))
        features = seen if isinstance(seen, torch.Tensor) else seen.pooler_output
    np.testing.assert_allclose(found, F.normalize(features, dim=-1).numpy(), atol=2e-6)
    score = metric.measure(IMAGES[:2], IMAGES[2:], ScoreCache(None))
    assert score.value == pytest.approx(cmmd(found[:2], found[2:]))
    assert "2 pictures only" in score.flags[0]


def test_the_whole_picture_is_squeezed() -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, :20] = 255
    x = shown(wide, 8)
    assert x.shape == (1, 3, 8, 8)
    assert x[0, 0, 0, 0] > 1.9 > -1.7 > x[0, 0, 0, -1]
