"""Where AUTOMATIC1111's web UI puts noise levels, for those who want its pictures. Torch-free.

It samples with k-diffusion: levels are sigma/alpha ("variance exploding"), taken from the model's own table by linear
interpolation of their logarithm, from the last training timestep to the first and then to 0. What diffusers does
differently: whole timesteps for some solvers, offsets, linear interpolation. Facts as of version 1.10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from limner.errors import InvalidRequest, UnsupportedField
from limner.sampling import placement, schedules
from limner.sampling.course import Level, SolverCard
from limner.sampling.schedules import Levels
from limner.sampling.training import Floats, Training

SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        "model": "Uniform",
        "karras": "Karras",
        "exponential": "Exponential",
        "sgm-uniform": "SGM Uniform",
        "simple": "Simple",
        "align-your-steps": "Align Your Steps",
    }
)
"""The web UI's name of each schedule that a request can ask for."""

_READ_AS = {"uniform": "model", "normal": "model", "polyexponential": "exponential"}  # other names of the same levels
_AUTOMATIC = {"dpmpp-2m": "karras", "dpmpp-2m-sde": "exponential"}  # all others: uniform

BROWNIAN = frozenset({"dpmpp-2m-sde", "dpmpp-2m-sde-karras"})
"""Solvers whose noise is a Brownian path's there (``sampling/brownian.py``)."""
EXACT = BROWNIAN | {"euler", "euler-a", "heun", "dpmpp-2m", "dpmpp-2m-karras", "ddim"}
"""Solvers that draw what the web UI's sampler of that name draws, given the same numbers."""
WHY_NOT = MappingProxyType(
    {
        "unipc": "it is of third order there, with other timesteps; here of second order, as in diffusers",
        "lcm": "other timesteps are taken there; here those of diffusers",
    }
)
"""What the others do differently, in words."""

_TERMINAL = 4.8973451890853435e-08  # its stand-in for a zero terminal alpha^2
# Published with "Align your steps" (Sabour et al. 2024, arXiv 2404.14507): ten steps, interpolated for other numbers.
_ALIGNED = {
    False: (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    True: (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
}


def schedule_of(name: str) -> str | None:
    """Our name of a schedule the web UI calls ``name`` ("SGM Uniform"); ``None`` where it is not here or Automatic."""
    key = name.strip().lower().replace(" ", "-").replace("_", "-").replace("sgmuniform", "sgm-uniform")
    key = _READ_AS.get(key, key)
    return key if key in SCHEDULES else None


def automatic(solver: str) -> str:
    """The schedule that the web UI's "Automatic" means for a solver, since its version 1.9."""
    return "karras" if solver.endswith("-karras") else _AUTOMATIC.get(solver, "model")


def levels(
    training: Training, card: SolverCard, steps: int, schedule: str | None = None, *, xl: bool = False
) -> Levels:
    """``steps`` + 1 levels, noisiest first, and what the first noise is multiplied by; as ``schedules.levels``.

    ``schedule`` is one of ``SCHEDULES``, ``None`` for "Automatic". ``xl``: an SDXL model. DDIM has its own timesteps
    and one step less than was asked for, as there. UniPC and LCM, which are other algorithms there, are placed as in
    diffusers. Raises ``InvalidRequest`` and ``UnsupportedField`` as ``schedules.levels`` does.
    """
    if training.flow:
        raise UnsupportedField(
            "compat: the web UI's noise levels are not defined for flow-matching models",
            field="compat",
            hint="leave compat out",
        )
    if not 1 <= steps <= training.num_train_timesteps:
        return schedules.levels(training, card, steps)  # which says what is wrong
    if card.placement == "lcm" or card.name == "unipc":
        return schedules.levels(training, card, steps, karras=schedule == "karras")
    table = _table(training)
    if card.placement == "ddim":
        return _ddim(table, steps, schedule)
    asked = "karras" if card.karras else schedule or automatic(card.name)
    sigmas = _SIGMAS[asked](table, steps) if asked in _SIGMAS else _aligned(steps, xl)
    if (np.diff(sigmas) >= 0).any():
        raise InvalidRequest(
            f"steps: {steps} steps cannot be placed by the {SCHEDULES[asked]} schedule", field="steps", hint="ask fewer"
        )
    times = _timesteps(table, sigmas)
    found = [_level(sigma, t) for sigma, t in zip(_float32(sigmas), _float32(times), strict=True)]
    return (*found, Level(1.0, 0.0, 0.0)), found[0].sigma


def _table(training: Training) -> Floats:
    """sigma/alpha of each training timestep, rising; betas in float64 and rounded once, as CompVis' code has them."""
    n = training.num_train_timesteps
    products: Floats
    if training.beta_schedule == "squaredcos_cap_v2" or training.trained_betas or training.rescale_betas_zero_snr:
        products = training.alphas_cumprod(terminal=_TERMINAL)
    elif training.beta_schedule == "scaled_linear":
        root = np.linspace(training.beta_start**0.5, training.beta_end**0.5, n, dtype=np.float64)
        products = (1 - root * root).cumprod().astype(np.float64)
    else:
        betas = np.linspace(training.beta_start, training.beta_end, n)
        products = (1 - betas).cumprod().astype(np.float64)
    rounded = products.astype(np.float32).astype(np.float64)
    return np.sqrt((1 - rounded) / rounded)


def _sigmas_at(table: Floats, t: Floats) -> Floats:
    found: Floats = np.exp(np.interp(t, np.arange(len(table)), np.log(table)))
    return found


def _timesteps(table: Floats, sigmas: Floats) -> Floats:
    found: Floats = np.interp(np.log(sigmas), np.log(table), np.arange(len(table)))
    return found


def _uniform(table: Floats, steps: int) -> Floats:
    return _sigmas_at(table, np.linspace(len(table) - 1, 0, steps))


def _sgm_uniform(table: Floats, steps: int) -> Floats:
    return _sigmas_at(table, np.linspace(len(table) - 1, 0, steps + 1)[:-1])


def _karras(table: Floats, steps: int) -> Floats:
    return placement.karras(float(table[-1]), float(table[0]), steps)


def _exponential(table: Floats, steps: int) -> Floats:
    found: Floats = np.exp(np.linspace(np.log(table[-1]), np.log(table[0]), steps))
    return found


def _simple(table: Floats, steps: int) -> Floats:
    picked = [-(1 + int(k * (len(table) / steps))) for k in range(steps)]
    return table[picked]


_SIGMAS: Mapping[str, Callable[[Floats, int], Floats]] = {
    "model": _uniform,
    "karras": _karras,
    "exponential": _exponential,
    "sgm-uniform": _sgm_uniform,
    "simple": _simple,
}


def _aligned(steps: int, xl: bool) -> Floats:
    known = np.asarray(_ALIGNED[xl])
    if steps == len(known):
        return known
    at = np.linspace(0, 1, steps)
    rising: Floats = np.exp(np.interp(at, np.linspace(0, 1, len(known)), np.log(known[::-1])))
    return rising[::-1]


def _ddim(table: Floats, steps: int, schedule: str | None) -> Levels:
    """Timesteps 1, 1 + d, 1 + 2d ... with d = 1000 // steps; the lowest is only arrived at, never shown."""
    if schedule not in (None, "model"):
        raise UnsupportedField(
            f"schedule: DDIM places its own steps and cannot follow the {schedule} schedule",
            field="schedule",
            hint="leave schedule out, or choose a solver such as dpmpp-2m",
        )
    n = len(table)
    t = np.clip(np.arange(0, n, n // steps) + 1, 0, n - 1)[::-1]
    if len(t) < 2:
        raise InvalidRequest("steps: the web UI's DDIM needs 2 or more", field="steps", hint="ask for 2 or more")
    found = [_level(float(table[at]), float(at)) for at in t]
    return tuple(found), 1.0


def _float32(values: Floats) -> list[float]:
    rounded: list[float] = values.astype(np.float32).astype(np.float64).tolist()
    return rounded


def _level(ve: float, t: float) -> Level:
    alpha = 1 / (ve * ve + 1) ** 0.5
    return Level(alpha, ve * alpha, t)
