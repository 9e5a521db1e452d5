"""The Brownian path of SDE samplers: torchsde's numbers, and the laws of a path."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.sampling.brownian import Brownian

LOW, HIGH = 0.029167534783482550, 14.614642143249512
# torchsde's BrownianTree(LOW, zeros(3), HIGH, entropy=5) as k-diffusion asks it, step by step.
KNOWN = [
    (14.614642143249512, 9.0, [-0.047432, 0.893695, 0.166272]),
    (9.0, 6.082157135009766, [-0.782545, -0.476907, -0.879471]),
    (6.082157135009766, 2.232160806655884, [-0.728264, -0.32409, 0.656087]),
    (2.232160806655884, 0.6925738453865051, [0.205086, -0.479068, 0.186064]),
    (0.6925738453865051, 0.16975794732570648, [-1.381292, -1.530794, 0.260879]),
    (0.16975794732570648, 0.02916753478348255, [-1.524857, -1.930813, 1.255428]),
]


def test_torchsdes_numbers() -> None:
    path = Brownian(5, (3,), LOW, HIGH)
    for sigma, after, noise in KNOWN:
        assert path.noise(sigma, after).tolist() == pytest.approx(noise, abs=2e-6)


def test_asked_in_any_order() -> None:
    path = Brownian(5, (3,), LOW, HIGH)
    for sigma, after, noise in reversed(KNOWN):
        assert path.noise(sigma, after).tolist() == pytest.approx(noise, abs=2e-6)


@settings(max_examples=25)
@given(st.lists(st.floats(0.05, 14), min_size=3, max_size=3, unique_by=lambda t: round(t, 3)), st.integers(0, 2**40))
def test_what_is_gained_adds_up(at: list[float], seed: int) -> None:
    low, middle, high = sorted(at)
    path = Brownian(seed, (4, 2), LOW, HIGH)
    whole = path.noise(high, low) * math.sqrt(high - low)
    parts = path.noise(high, middle) * math.sqrt(high - middle) + path.noise(middle, low) * math.sqrt(middle - low)
    assert torch.allclose(whole, parts, atol=1e-5)


@pytest.mark.parametrize("source", ["cpu", "philox"])
def test_noise_is_standard_and_of_its_steps_own(source: str) -> None:
    path = Brownian(1, (4, 32, 32), LOW, HIGH, source)  # type: ignore[arg-type]
    a, b = path.noise(9, 4), path.noise(4, 0.5)
    for noise in (a, b):
        assert abs(noise.mean()) < 0.06
        assert abs(noise.std() - 1) < 0.06
    assert abs((a * b).mean()) < 0.06


def test_the_whole_path_in_one_step() -> None:
    assert Brownian(1, (5,), LOW, HIGH).noise(HIGH, LOW).isfinite().all()
