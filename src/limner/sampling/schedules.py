"""Noise levels for a model, a solver and a number of steps, where the matching diffusers scheduler has them.

``levels`` is the one entrance; torch-free. A level is (alpha, sigma, t) with ``x = alpha * x0 + sigma * noise``;
schedulers that work in sigma/alpha are translated, so a solver sees one scale whatever its home.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast, get_args

import numpy as np

from limner.errors import InvalidRequest, UnsupportedField
from limner.sampling import placement
from limner.sampling.course import Level, SolverCard
from limner.sampling.training import Floats, Spacing, Training

__all__ = ["Levels", "Training", "levels"]

Levels = tuple[tuple[Level, ...], float]

CLIPPED_TERMINAL = 2.0**-24  # diffusers' stand-in for a zero terminal alpha^2 where sigma/alpha must be finite
_LISTENS = frozenset({"EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"})
ZERO_SNR = 1e-3  # an alpha below this carries no picture: x is noise and nothing else


def levels(
    training: Training, card: SolverCard, steps: int, *, spacing: str | None = None, karras: bool = False
) -> Levels:
    """``steps`` + 1 levels, noisiest first, and what the first noise is multiplied by.

    ``spacing`` (leading, linspace, trailing) overrides the model's own, which overrides the solver's habit; ``karras``
    spaces the levels as Karras et al. 2022 do. The last level's ``t`` is 0 and never shown to a network.

    Raises ``InvalidRequest`` where the steps cannot be placed, and where noise prediction would have to start from
    pure noise (zero terminal SNR); ``UnsupportedField`` where the solver cannot follow the model or the schedule.
    """
    if not 1 <= steps <= training.num_train_timesteps:
        raise InvalidRequest(
            f"steps: {steps} steps; this model was trained on {training.num_train_timesteps}",
            field="steps",
            hint=f"steps can be 1 to {training.num_train_timesteps}",
        )
    place = cast("Spacing", _spacing(spacing) or training.spacing or card.spacing)
    if training.flow:
        made = _flow(training, card, steps, karras=karras or card.karras)
    elif _wants_karras(training, card, karras):
        made = _karras(training, card, steps, place)
    elif card.placement in ("ddim", "lcm"):
        made = _exact(training, card, steps, place)
    else:
        made = _sigmas(training, card, steps, place)
    _check(training, made[0], steps)
    return made


def _spacing(spacing: str | None) -> str | None:
    if spacing is not None and spacing not in get_args(Spacing):
        raise InvalidRequest(f"there is no timestep spacing {spacing!r}", hint=f"known: {', '.join(get_args(Spacing))}")
    return spacing


def _wants_karras(training: Training, card: SolverCard, asked: bool) -> bool:
    able = card.placement in ("interpolated", "multistep")
    if asked and not able:
        raise UnsupportedField(
            f"schedule: {card.title} places its own steps and cannot follow the karras schedule",
            field="schedule",
            hint="leave schedule out, or choose a solver such as dpmpp-2m",
        )
    inherits = card.scheduler != "EulerAncestralDiscreteScheduler"  # that class does not know the setting
    return able and (asked or card.karras or (training.use_karras_sigmas and inherits))


def _ve_table(training: Training) -> Floats:
    """sigma/alpha of each training timestep, rising."""
    products = training.alphas_cumprod(terminal=CLIPPED_TERMINAL)
    return np.sqrt((1 - products) / products).astype(np.float32).astype(np.float64)


def _sigmas(training: Training, card: SolverCard, steps: int, place: Spacing) -> Levels:
    table = _ve_table(training)
    timesteps = placement.interpolated_timesteps if card.placement == "interpolated" else placement.multistep_timesteps
    t = timesteps(training, steps, place)
    if t[0] > training.num_train_timesteps - 1:
        raise _too_many(steps)
    return _from_ve(training, card, np.interp(t, np.arange(len(table)), table), t, place, table[0])


def _karras(training: Training, card: SolverCard, steps: int, place: Spacing) -> Levels:
    table = _ve_table(training)
    if card.placement == "interpolated":  # between the ends that the spacing gives, at fractional timesteps
        ends = np.interp(placement.interpolated_timesteps(training, steps, place), np.arange(len(table)), table)
        sigmas = placement.karras(ends[0], ends[-1], steps)
        return _from_ve(training, card, sigmas, placement.timestep_of(sigmas, table), place, table[0])
    sigmas = placement.karras(table[-1], table[0], steps)
    t = placement.timestep_of(sigmas, table)
    whole = np.floor(t) if training.beta_schedule == "squaredcos_cap_v2" and card.name != "unipc" else t.round()
    return _from_ve(training, card, sigmas, whole, place, table[0])


def _from_ve(
    training: Training, card: SolverCard, sigmas: Floats, t: Floats, place: Spacing, sigma_min: float
) -> Levels:
    """Levels from sigma/alpha. Euler-type schedulers start ``linspace`` and ``trailing`` at sigma times noise, and
    ``leading`` at the full standard deviation, which here is 1."""
    found = [_level(sigma, time) for sigma, time in zip(_float32(sigmas), _float32(t), strict=True)]
    final = _final(training, card, float(sigma_min))
    start = found[0].sigma if card.placement == "interpolated" and place != "leading" else 1.0
    return (*found, final), start


def _final(training: Training, card: SolverCard, sigma_min: float) -> Level:
    """Where it ends: clean, or with the least noise of training where the model says so and the scheduler listens."""
    if training.final_sigma == "zero" or card.scheduler not in _LISTENS:
        return Level(1.0, 0.0, 0.0)
    if card.placement == "interpolated":  # handed on in units of sigma/alpha, so x = x0 + sigma * noise
        return Level(1.0, sigma_min, 0.0)
    return _level(sigma_min, 0.0)


def _level(ve: float, t: float) -> Level:
    alpha = 1 / (ve * ve + 1) ** 0.5
    return Level(alpha, ve * alpha, t)


def _exact(training: Training, card: SolverCard, steps: int, place: Spacing) -> Levels:
    products = training.alphas_cumprod()
    if card.placement == "lcm":
        t, final = placement.lcm_timesteps(training, steps), 1.0
    else:
        t = placement.ddim_timesteps(training, steps, place)
        final = 1.0 if training.set_alpha_to_one else float(products[0])
    if t[0] > training.num_train_timesteps - 1:
        raise _too_many(steps)
    squares = [*products[t.astype(int)].tolist(), final]
    times = [*t.tolist(), 0.0]
    return tuple(Level(a**0.5, (1 - a) ** 0.5, time) for a, time in zip(squares, times, strict=True)), 1.0


def _flow(training: Training, card: SolverCard, steps: int, *, karras: bool) -> Levels:
    if not card.flow:
        raise UnsupportedField(
            f"solver: {card.title} is not defined for flow-matching models",
            field="solver",
            hint="euler, heun, dpmpp-2m and unipc are",
        )
    if karras:
        raise UnsupportedField(
            "schedule: karras spacing is not defined for flow-matching models",
            field="schedule",
            hint="leave schedule out",
        )
    n = training.num_train_timesteps
    if card.placement == "interpolated":
        sigmas = placement.flow_interpolated(training, steps)
        t = sigmas * n
    else:
        sigmas = placement.flow_multistep(training, steps, clipped=card.name == "unipc")
        t = np.floor(sigmas * n)
    pairs = zip(_float32(sigmas), _float32(t), strict=True)
    return (*(Level(1 - sigma, sigma, time) for sigma, time in pairs), Level(1.0, 0.0, 0.0)), 1.0


def _float32(values: Floats) -> list[float]:
    rounded: list[float] = values.astype(np.float32).astype(np.float64).tolist()
    return rounded


def _too_many(steps: int) -> InvalidRequest:
    return InvalidRequest(
        f"steps: {steps} steps cannot be placed with this model's spacing", field="steps", hint="ask for fewer steps"
    )


def _check(training: Training, made: tuple[Level, ...], steps: int) -> None:
    drops = [a.sigma * b.alpha - b.sigma * a.alpha for a, b in pairwise(made)]
    # The last may stand still: some models end where their last step already is.
    falling = all(drop > 0 for drop in drops[:-1]) and drops[-1] > -1e-9
    if len(made) != steps + 1 or not falling:
        raise _too_many(steps)
    if training.prediction_type == "epsilon" and training.rescale_betas_zero_snr and made[0].alpha < ZERO_SNR:
        raise InvalidRequest(
            "this model predicts noise and its schedule starts from pure noise (zero terminal SNR), where a noise "
            "prediction says nothing of the picture",
            field="solver",
            hint="its configuration is contradictory: use its v-prediction version, or leading spacing",
        )
