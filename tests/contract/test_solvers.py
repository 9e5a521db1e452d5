"""What every solver keeps, whatever its mathematics. A new solver is tested by being in the catalog."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from limner.errors import UnsupportedField
from limner.sampling.catalog import SOLVERS, load
from limner.sampling.course import Course, Eval, Level, Row, Show, SolverCard, Weights
from limner.sampling.noise import Noise
from limner.sampling.schedules import levels
from limner.sampling.training import Training

ZERO_SNR = Training(
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    prediction_type="v_prediction",
    rescale_betas_zero_snr=True,
    spacing="trailing",
)
PLAIN = Training(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
FLOW = Training(scheduler="FlowMatchEulerDiscreteScheduler", prediction_type="flow_prediction", shift=3.0)
SHAPES = [(4, 6, 5), (16, 3, 3), (7,), (2, 3, 4, 5)]

every_solver = pytest.mark.parametrize("card", SOLVERS.values(), ids=SOLVERS)


class Recorder:
    """A smooth predictor of x0 that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Tensor, Level]] = []

    def __call__(self, x: Tensor, level: Level) -> Course:
        row = Row(Weights("contract", "net", "float32"), {"x": x}, 1.0)
        (answer,) = yield Eval((row,))
        self.asked.append((x.clone(), level))
        return torch.tanh(answer * (0.4 + level.alpha))


def sample(
    card: SolverCard, made: tuple[Level, ...], start: Tensor, noise: Callable[[], Tensor], denoise: Recorder
) -> tuple[Tensor, list[Show]]:
    course, shows = load(card).solve(start, made, denoise, noise), []
    asked = next(course)
    while True:
        try:
            if isinstance(asked, Show):
                shows.append(asked)
                asked = course.send(())
            else:
                assert isinstance(asked, Eval), "a solver asks for nothing but evaluations and shows"
                asked = course.send(tuple(row.inputs["x"] for row in asked.rows))
        except StopIteration as end:
            return end.value, shows


def drawn(card: SolverCard, training: Training, steps: int, shape: tuple[int, ...], seed: int = 0):
    made, start = levels(training, card, steps)
    noise, denoise = Noise(seed, shape), Recorder()
    x, shows = sample(card, made, start * noise.first(), noise.next, denoise)
    return x, shows, denoise.asked, made


@every_solver
@pytest.mark.parametrize("steps", [1, 2, 3, 14, 15, 30])
@pytest.mark.parametrize("training", [PLAIN, ZERO_SNR, FLOW], ids=["plain", "zero-snr", "flow"])
def test_finite_and_counted(card: SolverCard, training: Training, steps: int) -> None:
    if training.flow and not card.flow:
        with pytest.raises(UnsupportedField):
            levels(training, card, steps)
        return
    x, shows, asked, _ = drawn(card, training, steps, (4, 6, 5))
    assert torch.isfinite(x).all()
    assert x.abs().max() < 50
    assert [(show.step, show.steps) for show in shows] == [(i + 1, steps) for i in range(steps)]
    final = 1  # into sigma = 0 every solver asks once
    assert len(asked) == card.evals_per_step * (steps - 1) + final


@every_solver
def test_from_exactly_pure_noise(card: SolverCard) -> None:
    """alpha = 0 is divided by nowhere; nor is the log of it, or of the final sigma = 0, left over."""
    made = (Level(0.0, 1.0, 999.0), Level(0.5, 0.75**0.5, 600.0), Level(0.8, 0.6, 300.0), Level(1.0, 0.0, 0.0))
    for many in (made, (made[0], made[-1])):
        noise = Noise(1, (3, 4))
        x, _ = sample(card, many, noise.first(), noise.next, Recorder())
        assert torch.isfinite(x).all()
        assert x.abs().max() < 10


@every_solver
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_shape_and_float32(card: SolverCard, shape: tuple[int, ...]) -> None:
    x, shows, asked, _ = drawn(card, PLAIN, 4, shape)
    assert x.shape == shape
    assert x.dtype == torch.float32
    assert all(seen.shape == shape and seen.dtype == torch.float32 for seen, _ in asked)
    assert all(show.latent is not None and show.latent.shape == shape for show in shows)


@every_solver
def test_first_step_asks_at_the_first_level_with_the_given_noise(card: SolverCard) -> None:
    made, start = levels(PLAIN, card, 5)
    noise, denoise = Noise(3, (5,)), Recorder()
    begun = start * noise.first()
    kept = begun.clone()
    sample(card, made, begun, noise.next, denoise)
    seen, level = denoise.asked[0]
    assert level == made[0]
    assert torch.equal(seen, kept)
    assert torch.equal(begun, kept), "the caller's tensor was written over"


@every_solver
def test_only_levels_that_were_given_and_never_the_last(card: SolverCard) -> None:
    _, _, asked, made = drawn(card, PLAIN, 6, (5,))
    levels_asked = [level for _, level in asked]
    assert set(levels_asked) == set(made[:-1])
    assert [level.t for level in levels_asked] == sorted((level.t for level in levels_asked), reverse=True)


@every_solver
def test_the_same_noise_gives_the_same_bytes(card: SolverCard) -> None:
    first, second = drawn(card, ZERO_SNR, 7, (4, 3))[0], drawn(card, ZERO_SNR, 7, (4, 3))[0]
    assert torch.equal(first, second)
    assert not torch.equal(first, drawn(card, ZERO_SNR, 7, (4, 3), seed=1)[0])


@every_solver
def test_draws_noise_only_if_it_says_so_and_never_in_vain(card: SolverCard) -> None:
    draws = 0

    def count() -> Tensor:
        nonlocal draws
        draws += 1
        return torch.zeros(5)

    made, start = levels(ZERO_SNR, card, 6)
    sample(card, made, start * torch.ones(5), count, Recorder())
    assert draws == (5 if card.stochastic else 0)


@every_solver
def test_woven_samplings_do_not_mix(card: SolverCard) -> None:
    """Two courses answered in turn, from one solver's class, end as each does alone."""
    made, start = levels(PLAIN, card, 4)
    alone, courses = [], []
    for seed in (0, 1):
        noise = Noise(seed, (5,))
        alone.append(sample(card, made, start * noise.first(), noise.next, Recorder())[0])
    solver = load(card)
    for seed in (0, 1):
        noise = Noise(seed, (5,))
        courses.append(solver.solve(start * noise.first(), made, Recorder(), noise.next))
    asked = [next(course) for course in courses]
    ended: dict[int, Tensor] = {}
    while len(ended) < 2:
        for k, course in enumerate(courses):
            if k in ended:
                continue
            question = asked[k]
            answer = tuple(row.inputs["x"] for row in question.rows) if isinstance(question, Eval) else ()
            try:
                asked[k] = course.send(answer)
            except StopIteration as end:
                ended[k] = end.value
    assert all(torch.equal(ended[k], alone[k]) for k in (0, 1))


@every_solver
def test_can_be_dropped_at_any_step(card: SolverCard) -> None:
    made, start = levels(PLAIN, card, 4)
    course = load(card).solve(start * torch.ones(3), made, Recorder(), lambda: torch.zeros(3))
    next(course)
    course.close()


@every_solver
def test_card_tells_the_truth(card: SolverCard) -> None:
    module, name = card.solver.split(":")
    assert hasattr(importlib.import_module(module), name)
    assert card.title
    assert "arXiv" in card.source
    assert card.scheduler.endswith("Scheduler")
    assert card.evals_per_step in (1, 2)
