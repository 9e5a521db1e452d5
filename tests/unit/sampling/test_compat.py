"""Whole samplings under ``--compat a1111`` agree with k-diffusion's formulas: same network, same seed, float32."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from limner.errors import InvalidRequest, UnsupportedField
from limner.sampling import compat
from limner.sampling.brownian import Brownian
from limner.sampling.catalog import SOLVERS, find, load
from limner.sampling.course import Course, Level
from limner.sampling.noise import Noise, slerp, slerp_columns
from limner.sampling.prediction import to_x0
from limner.sampling.training import Training
from tests.unit.sampling import webui
from tests.unit.sampling.drive import FLOW, SD1, SD2, SHAPE, Network, ask, run
from tests.unit.sampling.drive import ours as default

TOLERANCE = 2e-5  # of the largest value, measured 4e-6: float32 and the order of operations
COUNTS = (1, 2, 3, 7, 20, 31)


def ours(solver: str, schedule: str | None, steps: int, network: Network, *, v: bool = False, delta: int = 0) -> Tensor:
    training = Training.from_json(SD2 if v else SD1)
    card = find(solver)
    made, start = compat.levels(training, card, steps, schedule)
    noise = Noise(3, SHAPE, delta=delta)

    def denoise(x: Tensor, level: Level) -> Course:
        (out,) = yield from ask(x, level)
        return to_x0(training.prediction_type, x, out, level)

    return run(
        load(card).solve(start * noise.first(), made, denoise, noise.next), lambda x, t: network(x[None], t)[0]
    ).x


def theirs(solver: str, schedule: str, steps: int, network: Network, *, v: bool = False, delta: int = 0) -> Tensor:
    model = webui.Wrapped(lambda x, t: network(x[None], t)[0], v=v)
    drawn = webui.draws(3, SHAPE, delta)
    first = next(drawn)
    if solver == "ddim":
        return webui.ddim(model, first, steps)
    sigmas = webui.SCHEDULES[schedule](model, steps)
    return webui.SAMPLERS[solver](model, first * sigmas[0], sigmas, lambda: next(drawn))


def apart(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize("solver", list(webui.SAMPLERS))
@pytest.mark.parametrize("schedule", list(webui.SCHEDULES))
def test_what_k_diffusion_draws(solver: str, schedule: str) -> None:
    for steps, v in itertools.product(COUNTS, (False, True)):
        here, there = Network(), Network()
        distance = apart(ours(solver, schedule, steps, here, v=v), theirs(solver, schedule, steps, there, v=v))
        assert distance < TOLERANCE, (steps, v)
        assert here.calls == pytest.approx(there.calls, abs=2e-3)


def test_the_default_draws_something_else() -> None:
    """Or the tests above would say nothing. Euler's levels are all but the same where the model says no spacing."""
    there = {solver: theirs(solver, "model", 7, Network()) for solver in webui.SAMPLERS}
    assert apart(default(find("dpmpp-2m"), SD1, 7, Network()).x, there["dpmpp-2m"]) > 100 * TOLERANCE
    leading = SD1 | {"timestep_spacing": "leading"}
    for solver in ("euler", "euler-a", "heun"):
        assert apart(default(find(solver), leading, 7, Network()).x, there[solver]) > 100 * TOLERANCE


@pytest.mark.parametrize("steps", [2, 7, 20, 30, 999])
def test_ddim_takes_the_web_uis_timesteps(steps: int) -> None:
    here, there = Network(), Network()
    assert apart(ours("ddim", None, steps, here), theirs("ddim", "model", steps, there)) < TOLERANCE
    assert here.calls == there.calls


def sde(schedule: str, steps: int, network: Network, noises: Iterator[Tensor] | None = None) -> Tensor:
    """DPM++ 2M SDE over seed 3's path, or with other ``noises``."""
    training, card = Training.from_json(SD1), find("dpmpp-2m-sde")
    made, start = compat.levels(training, card, steps, schedule)
    drawn = noises or iter(path_of(made))

    def denoise(x: Tensor, level: Level) -> Course:
        (out,) = yield from ask(x, level)
        return to_x0("epsilon", x, out, level)

    course = load(card).solve(start * Noise(3, SHAPE).first(), made, denoise, lambda: next(drawn))
    return run(course, lambda x, t: network(x[None], t)[0]).x


def path_of(made: Sequence[Level]) -> list[Tensor]:
    sigmas = [level.sigma / level.alpha for level in made if level.sigma > 0]
    path = Brownian(3, SHAPE, sigmas[-1], sigmas[0])
    return [path.noise(*pair) for pair in itertools.pairwise(sigmas)]


@pytest.mark.parametrize("schedule", list(webui.SCHEDULES))
def test_the_sde_sampler_over_a_brownian_path(schedule: str) -> None:
    """Both sides ask the path for the same levels: it tells those apart that differ in float32's last digit, and what
    it gains between them is a thousand times more than their difference."""
    training = Training.from_json(SD1)
    for steps in COUNTS:
        noises = path_of(compat.levels(training, find("dpmpp-2m-sde"), steps, schedule)[0])
        again, there = iter(noises), Network()
        model = webui.Wrapped(partial(_batched, there))
        spaced = webui.SCHEDULES[schedule](model, steps)
        first = Noise(3, SHAPE).first() * spaced[0]
        wanted = webui.dpmpp_2m_sde(model, first, spaced, lambda sigma, after: next(again))  # noqa: B023
        assert apart(sde(schedule, steps, Network(), iter(noises)), wanted) < TOLERANCE, steps


def _batched(network: Network, x: Tensor, t: float) -> Tensor:
    return network(x[None], t)[0]


def test_ensd_is_a_new_generator_after_the_first_draw() -> None:
    found = ours("euler-a", "karras", 7, Network(), delta=31337)
    assert apart(found, theirs("euler-a", "karras", 7, Network(), delta=31337)) < TOLERANCE
    assert apart(found, theirs("euler-a", "karras", 7, Network())) > 0.01


def test_automatic_is_the_samplers_own() -> None:
    training = Training.from_json(SD1)
    for solver, schedule in (("dpmpp-2m", "karras"), ("dpmpp-2m-sde", "exponential"), ("euler", "model")):
        assert compat.levels(training, find(solver), 9) == compat.levels(training, find(solver), 9, schedule)


def test_every_solver_is_exact_or_says_why_not() -> None:
    assert set(SOLVERS) == compat.EXACT | set(compat.WHY_NOT)
    assert not compat.EXACT & set(compat.WHY_NOT)


@pytest.mark.parametrize("schedule", [*compat.SCHEDULES, None])
def test_levels_fall_and_end_clean(schedule: str | None) -> None:
    training = Training.from_json(SD1)
    for solver, steps in itertools.product(("euler", "dpmpp-2m-sde"), (1, 2, 10, 11, 50)):
        made, start = compat.levels(training, find(solver), steps, schedule, xl=steps == 10)
        assert len(made) == steps + 1
        assert made[-1] == (1.0, 0.0, 0.0)
        assert start == made[0].sigma
        assert all(a.sigma * b.alpha > b.sigma * a.alpha for a, b in itertools.pairwise(made))


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("Karras", "karras"),
        ("SGM Uniform", "sgm-uniform"),
        ("SGMUniform", "sgm-uniform"),
        ("Polyexponential", "exponential"),
        ("Uniform", "model"),
        ("Normal", "model"),
        ("Align Your Steps", "align-your-steps"),
        ("Automatic", None),
        ("Beta", None),
    ],
)
def test_schedules_by_their_names_there(name: str, schedule: str | None) -> None:
    assert compat.schedule_of(name) == schedule


def test_what_cannot_be_is_refused() -> None:
    training = Training.from_json(SD1)
    with pytest.raises(UnsupportedField, match="flow"):
        compat.levels(Training.from_json(FLOW), find("euler"), 4)
    with pytest.raises(UnsupportedField, match="DDIM places its own steps"):
        compat.levels(training, find("ddim"), 20, "karras")
    with pytest.raises(InvalidRequest, match="2 or more"):
        compat.levels(training, find("ddim"), 1)
    with pytest.raises(InvalidRequest, match="1001 steps"):
        compat.levels(training, find("euler"), 1001)


def test_seeds_are_mixed_column_by_column() -> None:
    a, b = (torch.randn(4, 8, 6, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    mixed = slerp_columns(a, b, 0.3)
    for channel, column in itertools.product(range(4), range(6)):
        p, q = a[channel, :, column].double(), b[channel, :, column].double()
        angle = torch.arccos(p @ q / (p.norm() * q.norm()))
        wanted = (torch.sin(0.7 * angle) * p + torch.sin(0.3 * angle) * q) / torch.sin(angle)
        assert torch.allclose(mixed[channel, :, column].double(), wanted, atol=1e-5)
    assert not torch.allclose(mixed, slerp(a, b, 0.3), atol=1e-2)
    assert torch.equal(Noise(1, (4, 8, 6), 2, 0.3, columns=True).first(), mixed)


def test_equal_noises_are_mixed_the_wrong_way_round_as_there() -> None:
    a = torch.randn(4, 8, 6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(slerp_columns(a, a * 2, 0.25), a * 0.25 + a * 2 * 0.75)


def test_philox_noise_and_a_delta() -> None:
    noise, fresh = Noise(5, SHAPE, source="philox", delta=7), Noise(12, SHAPE, source="philox")
    assert torch.equal(noise.first(), Noise(5, SHAPE, source="philox").first())
    assert torch.equal(noise.next(), fresh.first())
    assert torch.equal(noise.next(), fresh.next())
    assert not torch.equal(noise.first(), Noise(5, SHAPE).first())
