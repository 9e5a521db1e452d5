"""Drives our solvers, and diffusers' schedulers, with one and the same analytic network."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import diffusers
import torch
from torch import Tensor

from limner.sampling.catalog import load
from limner.sampling.course import Course, Eval, Level, Row, Show, SolverCard, Weights
from limner.sampling.noise import Noise
from limner.sampling.prediction import to_x0
from limner.sampling.schedules import levels
from limner.sampling.training import Training

SHAPE = (4, 6, 5)
SD1 = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}
SD2 = SD1 | {"prediction_type": "v_prediction"}
ZERO_SNR = SD2 | {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "steps_offset": 0}
ZERO_SNR |= {"_class_name": "DDIMScheduler", "set_alpha_to_one": True}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}


class Network:
    """A smooth, nonlinear answer that depends on every input: a fixed small convolution net with a time term."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(7)
        self.first = torch.randn((8, 4, 3, 3), generator=generator) / 6
        self.second = torch.randn((4, 8, 3, 3), generator=generator) / 8
        self.calls: list[float] = []

    def __call__(self, x: Tensor, t: float) -> Tensor:
        self.calls.append(t)
        hidden = torch.tanh(
            torch.nn.functional.conv2d(x, self.first, padding=1) + 0.5 * torch.sin(torch.tensor(t / 90))
        )
        return 0.7 * x + torch.nn.functional.conv2d(hidden, self.second, padding=1)


@dataclass
class Outcome:
    """What a run of one of our solvers left behind."""

    x: Tensor
    shows: list[Show] = field(default_factory=list)
    evals: int = 0


def ask(x: Tensor, level: Level) -> Iterator[Eval]:
    """One row, as a family would ask."""
    row = Row(Weights("test", "net", "float32"), {"x": x, "t": torch.tensor(level.t, dtype=torch.float64)}, 1.0)
    return (yield Eval((row,)))


def run(course: Course, network: Callable[[Tensor, float], Tensor]) -> Outcome:
    """Answer a course until it is done."""
    outcome = Outcome(torch.empty(0))
    answer: tuple[Tensor, ...] = ()
    try:
        question = next(course)
        while True:
            if isinstance(question, Eval):
                outcome.evals += 1
                answer = tuple(network(r.inputs["x"], float(r.inputs["t"])) for r in question.rows)
            else:
                assert isinstance(question, Show)
                outcome.shows.append(question)
                answer = ()
            question = course.send(answer)
    except StopIteration as end:
        outcome.x = end.value
    return outcome


def ours(
    card: SolverCard,
    config: Mapping[str, object],
    steps: int,
    network: Callable[[Tensor, float], Tensor],
    *,
    seed: int = 3,
    shape: tuple[int, ...] = SHAPE,
    karras: bool = False,
) -> Outcome:
    """A whole picture's latents with our levels, noise and solver."""
    training = Training.from_json(config)
    made, start = levels(training, card, steps, karras=karras)
    noise = Noise(seed, shape)

    def denoise(x: Tensor, level: Level) -> Course:
        (out,) = yield from ask(x, level)
        return to_x0(training.prediction_type, x, out, level)

    def batched(x: Tensor, t: float) -> Tensor:
        return network(x[None], t)[0]

    return run(load(card).solve(start * noise.first(), made, denoise, noise.next), batched)


def theirs(
    card: SolverCard,
    config: Mapping[str, object],
    steps: int,
    network: Callable[[Tensor, float], Tensor],
    *,
    seed: int = 3,
    karras: bool = False,
) -> Tensor:
    """The same with the matching diffusers scheduler, as its pipelines drive it."""
    scheduler = scheduler_for(card, config, karras=karras)
    scheduler.set_timesteps(steps)
    generator = torch.Generator("cpu").manual_seed(seed)
    x = torch.randn((1, *SHAPE), generator=generator) * getattr(scheduler, "init_noise_sigma", 1.0)
    extra = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(network(scaled, float(t)), t, x, **extra).prev_sample
    return x[0]


def scheduler_for(card: SolverCard, config: Mapping[str, object], *, karras: bool = False) -> diffusers.SchedulerMixin:
    """The matching scheduler, configured from the model's own as ``from_config`` does it."""
    name = card.scheduler
    options: dict[str, object] = {}
    if "sde" in card.name:
        options["algorithm_type"] = "sde-dpmsolver++"
    if karras or card.karras:
        options["use_karras_sigmas"] = True
    if config.get("_class_name") == FLOW["_class_name"]:
        if card.placement == "interpolated":
            name = name.removesuffix("DiscreteScheduler")
            return getattr(diffusers, f"FlowMatch{name}DiscreteScheduler").from_config(dict(config))
        options |= {"use_flow_sigmas": True, "flow_shift": config["shift"], "prediction_type": "flow_prediction"}
        config = {"num_train_timesteps": config["num_train_timesteps"]}
    return getattr(diffusers, name).from_config(dict(config), **options)
