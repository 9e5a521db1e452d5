"""Where diffusers places timesteps and noise levels, one function a habit. Torch-free.

Four habits exist among the schedulers of diffusers, and published models are tuned to them:

``interpolated``  Euler, Euler ancestral, Heun: timesteps may be fractional; sigma is interpolated between them.
``multistep``     DPM-Solver++, UniPC: whole timesteps, placed as if there were one step more.
``ddim``          DDIM: whole timesteps and the exact alpha of each.
``lcm``           LCM: a subset of the steps the model was distilled on.

Sigmas here are sigma/alpha, "variance exploding", in float64; timesteps fall.
"""

from __future__ import annotations

import numpy as np

from limner.errors import InvalidRequest
from limner.sampling.training import Floats, Spacing, Training

KARRAS_RHO = 7.0  # Karras et al. 2022 (arXiv 2206.00364), section 3


def interpolated_timesteps(training: Training, steps: int, spacing: Spacing) -> Floats:
    """Timesteps as Euler-type schedulers place them, float32-rounded; fractional for ``linspace``."""
    n = training.num_train_timesteps
    if spacing == "linspace":
        return np.linspace(0, n - 1, steps, dtype=np.float32)[::-1].astype(np.float64)
    return _spaced(n, steps, spacing, training.steps_offset)


def ddim_timesteps(training: Training, steps: int, spacing: Spacing) -> Floats:
    """Timesteps as DDIM places them: whole numbers."""
    n = training.num_train_timesteps
    if spacing == "linspace":
        return np.linspace(0, n - 1, steps).round()[::-1]
    return _spaced(n, steps, spacing, training.steps_offset)


def multistep_timesteps(training: Training, steps: int, spacing: Spacing) -> Floats:
    """Timesteps as multistep schedulers place them: whole numbers; the lowest of steps + 1 is left out."""
    n = training.num_train_timesteps
    if spacing == "linspace":
        return np.linspace(0, n - 1, steps + 1).round()[::-1][:-1]
    if spacing == "leading":
        return (np.arange(steps + 1.0) * (n // (steps + 1)))[::-1][:-1] + training.steps_offset
    return _spaced(n, steps, spacing, training.steps_offset)


def lcm_timesteps(training: Training, steps: int) -> Floats:
    """Evenly spaced ones of the steps the model was distilled on. Raises ``InvalidRequest`` beyond their number."""
    original = min(training.original_inference_steps, training.num_train_timesteps)
    if steps > original:
        raise InvalidRequest(
            f"steps: a latent consistency model was distilled on {original} steps; {steps} are more",
            field="steps",
            hint="4 to 8 steps are usual",
        )
    grid = (np.arange(original) + 1.0) * (training.num_train_timesteps // original) - 1
    chosen: Floats = grid[::-1][np.floor(np.linspace(0, original, steps, endpoint=False)).astype(int)]
    return chosen


def _spaced(n: int, steps: int, spacing: Spacing, offset: int) -> Floats:
    if spacing == "leading":
        return (np.arange(float(steps)) * (n // steps))[::-1] + offset
    # The cut: where n/steps is not exact, arange can append one more value next to zero.
    return np.asarray(np.arange(n, 0, -n / steps).round()[:steps] - 1, dtype=np.float64)


def karras(sigma_max: float, sigma_min: float, steps: int) -> Floats:
    """Noise levels evenly spaced in sigma^(1/7) (Karras et al. 2022, equation 5)."""
    ramp = np.linspace(0, 1, steps)
    high, low = sigma_max ** (1 / KARRAS_RHO), sigma_min ** (1 / KARRAS_RHO)
    return np.asarray((high + ramp * (low - high)) ** KARRAS_RHO, dtype=np.float64)


def timestep_of(sigmas: Floats, table: Floats) -> Floats:
    """The fractional timestep at which training had each sigma: interpolated in log sigma over ``table`` (rising)."""
    logs = np.log(table.astype(np.float32)).astype(np.float64)  # as the published code rounds it: it decides floors
    log = np.log(np.maximum(sigmas, 1e-10))
    return np.interp(log, logs, np.arange(len(logs), dtype=np.float64))


def flow_interpolated(training: Training, steps: int) -> Floats:
    """Sigmas (0..1) of FlowMatchEuler and FlowMatchHeun. The shift enters twice, in the range and in the values:
    published pictures were made so."""
    n = training.num_train_timesteps
    low = np.float32(_shifted(np.float32(1 / n), training.shift))
    return _shifted(np.linspace(1.0, float(low), steps), training.shift).astype(np.float32).astype(np.float64)


def flow_multistep(training: Training, steps: int, *, clipped: bool) -> Floats:
    """Sigmas (0..1) of DPM-Solver++ and UniPC on flow models. ``clipped``: start just below 1 (UniPC), else at
    1 - 1/n of training's timesteps (DPM-Solver++)."""
    n = training.num_train_timesteps
    if clipped:
        sigmas = _shifted(np.linspace(1, 1 / n, steps + 1)[:-1], training.shift)
        sigmas[0] = min(sigmas[0], 1 - 1e-6)
        return sigmas
    return _shifted(1 - np.linspace(1, 1 / n, steps + 1), training.shift)[::-1][:-1]


def _shifted(sigma: Floats | np.float32, shift: float) -> Floats:
    """Time shift of Esser et al. 2024 (arXiv 2403.03206), section 5.3.2."""
    return np.asarray(shift * sigma / (1 + (shift - 1) * sigma), dtype=np.float64)
