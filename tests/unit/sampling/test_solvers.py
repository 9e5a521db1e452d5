"""Solvers against equations whose solution is known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from limner.sampling.catalog import SOLVERS, find, load
from limner.sampling.course import Course, Level
from limner.sampling.schedules import levels
from limner.sampling.training import Training
from tests.unit.sampling.drive import FLOW, SD1, ZERO_SNR, Outcome, ask, run

DETERMINISTIC = [name for name, card in SOLVERS.items() if not card.stochastic]
MEAN, SPREAD = 0.6, 0.4


def solve(name: str, x: Tensor, made: tuple[Level, ...], x0_of, noise=lambda: torch.zeros(())) -> Outcome:
    """Run a solver with x0 given as a function of x and level."""

    def denoise(x: Tensor, level: Level) -> Course:
        yield from ask(x, level)
        return x0_of(x, level)

    return run(load(find(name)).solve(x, made, denoise, noise), lambda x, t: x)


def gaussian_x0(x: Tensor, level: Level) -> Tensor:
    """E[x0 | x] where x0 is normal with MEAN and SPREAD."""
    variance = level.alpha**2 * SPREAD**2 + level.sigma**2
    return MEAN + level.alpha * SPREAD**2 / variance * (x - level.alpha * MEAN)


def gaussian_flow(x: Tensor, here: Level, there: Level) -> Tensor:
    """The exact solution of the probability flow: it moves each x to the same quantile."""

    def deviation(level: Level) -> float:
        return float((level.alpha**2 * SPREAD**2 + level.sigma**2) ** 0.5)

    return there.alpha * MEAN + deviation(there) / deviation(here) * (x - here.alpha * MEAN)


def grid(steps: int, *, start: float = 0.97, end: float = 0.2) -> tuple[Level, ...]:
    """Smoothly spaced variance-preserving levels, uniform in log(alpha/sigma)."""
    angles = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    low, high = (torch.tensor((1 - s * s) ** 0.5 / s, dtype=torch.float64).log() for s in (start, end))
    snr = (low + (high - low) * angles).exp()
    return tuple(
        Level((r / (1 + r * r) ** 0.5), 1 / (1 + r * r) ** 0.5, 1000.0 - i) for i, r in enumerate(snr.tolist())
    )


def error(name: str, steps: int) -> float:
    made = grid(steps)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    reached = solve(name, x, made, gaussian_x0).x
    return (reached - gaussian_flow(x, made[0], made[-1])).abs().max().item()


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("ddim", 1), ("heun", 2), ("dpmpp-2m", 2), ("unipc", 2)])
def test_order_of_accuracy(name: str, order: int) -> None:
    """Four times the steps, 4^order times the accuracy."""
    coarse, fine = error(name, 40), error(name, 160)
    assert fine < coarse
    assert coarse / fine > 4**order * 0.7


@pytest.mark.parametrize("steps", [2, 5, 20])
def test_heun_leaves_pure_noise_without_a_leap(steps: int) -> None:
    """Out of zero SNR sigma/alpha falls by thousands; predictions that disagree by 1 must not be worth that much."""
    made, start = levels(Training.from_json(ZERO_SNR), find("heun"), steps)
    asked: list[Tensor] = []

    def x0_of(x: Tensor, level: Level) -> Tensor:
        asked.append(x)
        return torch.full_like(x, math.sin(level.t))

    solve("heun", start * torch.linspace(-2, 2, 9), made, x0_of)
    assert max(x.abs().max().item() for x in asked) < 2.5


def test_second_order_beats_first_at_the_price() -> None:
    """At 40 evaluations each."""
    for name, steps in (("dpmpp-2m", 40), ("unipc", 40), ("heun", 20)):
        assert error(name, steps) < error("euler", 40) / 4, name


@pytest.mark.parametrize("name", DETERMINISTIC)
@pytest.mark.parametrize("config", [SD1, ZERO_SNR, FLOW], ids=["eps", "zero-snr", "flow"])
@settings(max_examples=8, deadline=None)
@given(steps=st.integers(2, 40), value=st.floats(-3, 3), seed=st.integers(0, 99))
def test_a_known_picture_is_returned(name: str, config: dict[str, object], steps: int, value: float, seed: int) -> None:
    """Where every prediction is the same picture, that picture comes out, whatever the noise was."""
    card, training = find(name), Training.from_json(config)
    if training.flow and not card.flow:
        return
    config_end = Training.from_json(dict(config) | {"set_alpha_to_one": True}) if not training.flow else training
    made, start = levels(config_end, card, steps)
    x = start * torch.randn((3, 4), generator=torch.Generator().manual_seed(seed))
    picture = torch.full_like(x, value)
    out = solve(name, x, made, lambda x, level: picture).x
    assert torch.allclose(out, picture, atol=1e-5)


@pytest.mark.parametrize("name", SOLVERS)
def test_linear_in_x_and_noise(name: str) -> None:
    """With a linear network a solver is linear: sampling of a sum is the sum of samplings."""
    made, _ = levels(Training.from_json(SD1), find(name), 8)

    def sample(seed: int, other: int | None = None) -> Tensor:
        def draws(s: int):
            g = torch.Generator().manual_seed(s)
            return lambda: torch.randn((5,), generator=g, dtype=torch.float64)

        a, b = draws(seed), draws(other if other is not None else seed)
        both = (lambda: a() + b()) if other is not None else a
        x = both()
        return solve(name, x, made, lambda x, level: 0.3 * level.alpha * x, both).x

    assert torch.allclose(sample(1) + sample(2), sample(1, 2), atol=1e-9)


def spread_of(name: str, steps: int) -> tuple[float, float]:
    """Mean and deviation of what a solver makes of pure noise, with exact predictions for a normal distribution."""
    made, start = levels(Training.from_json(ZERO_SNR), find(name), steps)
    generator = torch.Generator().manual_seed(5)

    def draw() -> Tensor:
        return torch.randn((40_000,), generator=generator)

    x = solve(name, start * draw(), made, gaussian_x0, draw).x
    return x.mean().item(), x.std().item()


@pytest.mark.parametrize("name", ["euler-a", "dpmpp-2m-sde"])
def test_stochastic_solvers_tend_to_the_distribution(name: str) -> None:
    """The mean is right at once; the spread comes up with the steps (each is a little too narrow)."""
    found = [spread_of(name, steps) for steps in (20, 80, 320)]
    assert all(mean == pytest.approx(MEAN, abs=0.02) for mean, _ in found)
    few, some, many = (SPREAD - spread for _, spread in found)
    assert few / 2 > some
    assert some / 2 > many > -0.005  # 40,000 draws know the spread to 0.0015


def test_lcm_keeps_the_mean() -> None:
    assert spread_of("lcm", 8)[0] == pytest.approx(MEAN, abs=0.02)


def test_heun_looks_again_where_it_arrives() -> None:
    asked: list[Level] = []

    def x0_of(x: Tensor, level: Level) -> Tensor:
        asked.append(level)
        return gaussian_x0(x, level)

    made = grid(3)
    solve("heun", torch.zeros(2), made, x0_of)
    assert asked == [level for pair in pairwise(made) for level in pair]


def test_lcm_keeps_its_boundary_condition() -> None:
    """At t = 0 the consistency function is the identity, far from it the prediction."""
    near = (Level(0.999, 0.04, 0.0), Level(1.0, 0.0, 0.0))
    far = (Level(0.1, 0.99, 900.0), Level(1.0, 0.0, 0.0))
    x, x0 = torch.ones(3), torch.full((3,), 5.0)
    assert torch.equal(solve("lcm", x, near, lambda x, level: x0).x, x)
    assert torch.allclose(solve("lcm", x, far, lambda x, level: x0).x, x0, atol=1e-6)
