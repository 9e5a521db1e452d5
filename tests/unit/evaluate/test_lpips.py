"""LPIPS against its formula written out, with random weights under the published names; Inception's shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from limner.errors import CorruptFile, InvalidRequest, MismatchedWeights, ModelNotFound
from limner.evaluate.inception_features import WEIGHTS, InceptionFeatures
from limner.evaluate.inception_features import shown as as_inception_sees
from limner.evaluate.lpips import Lpips
from limner.evaluate.nets.inception import Inception
from limner.evaluate.nets.lpips import SCALE, SHIFT
from limner.types import Pixels
from tests.pocket_scorers import ALEXNET, lpips_weights, write_lpips
from tests.unit.evaluate.test_model_free import CACHE, scene


def formula(a: Pixels, b: Pixels, weights: dict[str, Tensor]) -> float:
    """Zhang et al. 2018, equation 1, step by step."""
    total = 0.0
    x = torch.from_numpy(np.stack([a, b]).copy()).permute(0, 3, 1, 2) / 127.5 - 1
    x = (x - torch.tensor(SHIFT).view(1, 3, 1, 1)) / torch.tensor(SCALE).view(1, 3, 1, 1)
    for k, (at, _, _, _, stride, padding) in enumerate(ALEXNET):
        if at in (3, 6):
            x = F.max_pool2d(x, 3, 2)
        x = F.conv2d(x, weights[f"features.{at}.weight"], weights[f"features.{at}.bias"], stride, padding).relu()
        unit = x / (x.norm(dim=1, keepdim=True) + 1e-10)
        squared = (unit[:1] - unit[1:]) ** 2
        total += F.conv2d(squared, weights[f"lin{k}.model.1.weight"]).mean().item()
    return total


def test_the_distance_of_pairs_is_the_formula(tmp_path: Path) -> None:
    weights = {name: tensor for part in lpips_weights() for name, tensor in part.items()}
    write_lpips(tmp_path)
    metric = Lpips(tmp_path)
    a, b, c = (scene(k, 64) for k in range(3))
    expected = [formula(x, y, weights) for x, y in ((a, b), (a, c), (b, c))]
    assert metric.measure([a, b, c], [], CACHE).value == pytest.approx(np.mean(expected), rel=1e-4)
    assert metric.measure([a, b], [c, b], CACHE).value == pytest.approx(expected[1] / 2, rel=1e-4)
    assert metric.measure([a, a, a], [], CACHE).value == 0


def test_pictures_that_cannot_be_compared(tmp_path: Path) -> None:
    write_lpips(tmp_path)
    metric, picture = Lpips(tmp_path), scene(0, 64)
    for images, reference in [
        ([picture], []),
        ([picture, scene(0, 48)], []),
        ([picture, picture], [picture]),
        ([picture] * 65, []),
        ([scene(0, 64)[:20]] * 2, []),
    ]:
        with pytest.raises(InvalidRequest):
            metric.measure(images, reference, CACHE)


def test_weights_that_are_not_there_or_not_those(tmp_path: Path) -> None:
    command = Lpips(tmp_path / "none").missing()
    assert command is not None
    assert "alexnet-owt-7be5be79.pth" in command
    assert "limner models convert alex.pth" in command
    with pytest.raises(ModelNotFound):
        Lpips(tmp_path / "none").measure([scene(0), scene(1)], [], CACHE)
    write_lpips(tmp_path / "changed", source="sha256:" + "0" * 64)
    with pytest.raises(CorruptFile, match="alexnet-owt"):
        Lpips(tmp_path / "changed").measure([scene(0), scene(1)], [], CACHE)
    write_lpips(tmp_path / "other", source="sha256:7be5be79" + "0" * 56)
    save_file({"lin0.model.1.weight": torch.zeros(1, 64, 1, 1)}, tmp_path / "other" / "channels.safetensors")
    with pytest.raises(MismatchedWeights):
        Lpips(tmp_path / "other").measure([scene(0), scene(1)], [], CACHE)


def test_inception_is_the_published_network_by_its_parameters() -> None:
    with torch.device("meta"):
        net = Inception()
    assert sum(p.numel() for p in net.parameters()) == 23_834_568 + 8 * 2049  # 1,008 classes instead of 1,000
    assert net(torch.empty((2, 3, 299, 299), device="meta")).shape == (2, 2048)


def test_a_picture_is_resized_from_its_corner() -> None:
    pixels = np.zeros((2, 299, 3), np.uint8)
    pixels[1] = 128
    found = as_inception_sees(pixels)
    assert found.shape == (1, 3, 299, 299)
    assert found[0, 0, 0, 0] == -1
    assert found[0, 0, 150:, :].abs().max() < 0.01  # the last row has no neighbour below
    step = found[0, 0, 1, 0] - found[0, 0, 0, 0]
    assert step == pytest.approx(2 / 299, rel=1e-4)


def test_inceptions_weights_are_asked_for() -> None:
    command = InceptionFeatures().missing()
    assert command is not None
    assert WEIGHTS.url in command
