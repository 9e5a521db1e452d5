from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import InvalidRequest
from limner.sampling.course import Level
from limner.sampling.prediction import to_noise, to_x0

X0 = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
NOISE = torch.tensor([1.1, 0.4, -0.7], dtype=torch.float64)


def mixed(level: Level) -> torch.Tensor:
    return level.alpha * X0 + level.sigma * NOISE


@given(alpha=st.floats(0.01, 0.99))
def test_each_prediction_finds_the_picture(alpha: float) -> None:
    vp = Level(alpha, (1 - alpha**2) ** 0.5, 5.0)
    flow = Level(alpha, 1 - alpha, 5.0)
    asked = [
        ("epsilon", NOISE, vp),
        ("v_prediction", vp.alpha * NOISE - vp.sigma * X0, vp),
        ("sample", X0, vp),
        ("flow_prediction", NOISE - X0, flow),
    ]
    for prediction, answer, level in asked:
        x = mixed(level)
        x0 = to_x0(prediction, x, answer, level)
        assert torch.allclose(x0, X0)
        assert torch.allclose(to_noise(x, x0, level), NOISE)


def test_v_in_pure_noise_is_minus_the_picture() -> None:
    level = Level(0.0, 1.0, 999.0)
    assert torch.equal(to_x0("v_prediction", NOISE, -X0, level), X0)


def test_noise_prediction_in_pure_noise_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="pure noise"):
        to_x0("epsilon", NOISE, NOISE, Level(0.0, 1.0, 999.0))


def test_unknown_prediction() -> None:
    with pytest.raises(InvalidRequest, match="score"):
        to_x0("score", NOISE, NOISE, Level(0.5, 0.5, 1.0))
