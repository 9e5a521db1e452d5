"""How a diffusion model was trained, as its ``scheduler_config.json`` says it. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from limner.errors import MismatchedWeights

Prediction: TypeAlias = Literal["epsilon", "v_prediction", "sample", "flow_prediction"]
Spacing: TypeAlias = Literal["leading", "linspace", "trailing"]
BetaSchedule: TypeAlias = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]
Floats: TypeAlias = NDArray[np.float64]

DIFFUSION = frozenset(
    f"{name}Scheduler"
    for name in [
        "DDIM",
        "DDPM",
        "DEISMultistep",
        "DPMSolverMultistep",
        "DPMSolverSDE",
        "DPMSolverSinglestep",
        "EulerAncestralDiscrete",
        "EulerDiscrete",
        "HeunDiscrete",
        "KDPM2AncestralDiscrete",
        "KDPM2Discrete",
        "LCM",
        "LMSDiscrete",
        "PNDM",
        "TCD",
        "UniPCMultistep",
    ]
)
FLOW = frozenset({"FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"})

# Keys that describe another solver's habits or are read below: whatever they hold, the noise levels are the same.
# clip_sample is among them because it bounds pixels to -1..1 and latents are not so bounded; the published latent
# pipelines switch it off themselves.
_HARMLESS = frozenset(
    [
        "num_train_timesteps",
        "beta_start",
        "beta_end",
        "beta_schedule",
        "trained_betas",
        "prediction_type",
        "rescale_betas_zero_snr",
        "timestep_spacing",
        "steps_offset",
        "set_alpha_to_one",
        "shift",
        "flow_shift",
        "use_karras_sigmas",
        "final_sigmas_type",
        "original_inference_steps",
        "clip_sample",
        "clip_sample_range",
        "skip_prk_steps",
        "dynamic_thresholding_ratio",
        "sample_max_value",
        "solver_order",
        "algorithm_type",
        "solver_type",
        "lower_order_final",
        "euler_at_final",
        "disable_corrector",
        "predict_x0",
        "solver_p",
        "eta",
        "base_shift",
        "max_shift",
        "base_image_seq_len",
        "max_image_seq_len",
        "time_shift_type",
        "noise_sampler_seed",
        "use_flow_sigmas",
    ]
)
# Keys that change the mathematics, and the values that leave it as it is.
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "thresholding": (False, None),
    "interpolation_type": ("linear",),
    "timestep_type": ("discrete",),
    "use_exponential_sigmas": (False, None),
    "use_beta_sigmas": (False, None),
    "use_lu_lambdas": (False, None),
    "sigma_min": (None,),
    "sigma_max": (None,),
    "lambda_min_clipped": (None, -math.inf, "-Infinity"),
    "variance_type": (None, "fixed_small", "fixed_large"),
    "timestep_scaling": (10.0,),
    "use_dynamic_shifting": (False, None),
    "invert_sigmas": (False, None),
    "shift_terminal": (None, False),
    "stochastic_sampling": (False, None),
}


@dataclass(frozen=True, slots=True)
class Training:
    """The noise a model was trained on, and how its makers place timesteps.

    ``spacing`` is ``None`` where the file does not say: then each solver has its own habit, as in diffusers. ``shift``
    belongs to flow matching alone. ``scheduler`` is the class the file names.
    """

    scheduler: str = "DDIMScheduler"
    num_train_timesteps: int = 1000
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: BetaSchedule = "linear"
    trained_betas: tuple[float, ...] | None = None
    prediction_type: Prediction = "epsilon"
    rescale_betas_zero_snr: bool = False
    spacing: Spacing | None = None
    steps_offset: int = 0
    set_alpha_to_one: bool = True
    final_sigma: Literal["zero", "sigma_min"] = "zero"
    use_karras_sigmas: bool = False
    original_inference_steps: int = 50
    shift: float = 1.0

    @property
    def flow(self) -> bool:
        """Trained by flow matching (alpha = 1 - sigma), not by diffusion."""
        return self.prediction_type == "flow_prediction"

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> Training:
        """Read a diffusers ``scheduler_config.json``. Raises ``MismatchedWeights`` naming the class or key that asks
        for mathematics not implemented here."""
        return _Reader(config).training()

    def alphas_cumprod(self, *, terminal: float | None = None) -> Floats:
        """alpha^2 of each training timestep, rounded to float32 as the published models had it.

        ``terminal`` replaces the last one where the terminal SNR is zero (solvers that work in sigma/alpha cannot
        hold infinity).
        """
        betas = self._betas()
        if self.rescale_betas_zero_snr:
            betas = _zero_terminal_snr(betas)
        products = _cumprod(np.float32(1) - betas)
        if self.rescale_betas_zero_snr and terminal is not None:
            products[-1] = terminal
        return products.astype(np.float64)

    def _betas(self) -> NDArray[np.float32]:
        n = self.num_train_timesteps
        if self.trained_betas is not None:
            return np.asarray(self.trained_betas, dtype=np.float32)
        if self.beta_schedule == "linear":
            return _linspace(self.beta_start, self.beta_end, n)
        if self.beta_schedule == "scaled_linear":
            return np.square(_linspace(self.beta_start**0.5, self.beta_end**0.5, n))
        bars = [math.cos((i / n + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(n + 1)]
        return np.asarray([min(1 - after / before, 0.999) for before, after in pairwise(bars)], "f4")


def _linspace(start: float, end: float, n: int) -> NDArray[np.float32]:
    """torch's float32 linspace to the bit: a float32 step, counted from the nearer end. Numpy's differs in the last
    place, which 1000 factors and the rescaling to zero SNR make visible."""
    first, last = np.float32(start), np.float32(end)
    step = float((last - first) / np.float32(max(n - 1, 1)))
    k = np.arange(n)
    return np.where(k < n // 2, float(first) + step * k, float(last) - step * (n - 1 - k)).astype(np.float32)


def _cumprod(alphas: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.cumprod(alphas, dtype=np.float64).astype(np.float32)


def _zero_terminal_snr(betas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Algorithm 1 of Lin et al. 2024 (arXiv 2305.08891): shift sqrt(alpha_bar) to end at 0, keep its first value."""
    root = np.sqrt(_cumprod(np.float32(1) - betas))
    first, last = root[0], root[-1]
    bars = np.square((root - last) * (first / (first - last)))
    alphas: NDArray[np.float32] = np.concatenate([bars[:1], bars[1:] / bars[:-1]])
    return np.float32(1) - alphas


class _Reader:
    """One scheduler_config.json being read; every refusal names the key."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self.config = {key: value for key, value in config.items() if not key.startswith("_")}
        self.name = str(config.get("_class_name", "DDIMScheduler"))

    def training(self) -> Training:
        if self.name not in DIFFUSION | FLOW:
            known = ", ".join(sorted(DIFFUSION | FLOW))
            raise MismatchedWeights(
                f"the scheduler {self.name!r} of this checkpoint is not one whose noise levels are known here",
                hint=f"known are {known}",
            )
        self._refuse_unknown()
        flow = self.name in FLOW or bool(self.config.get("use_flow_sigmas"))
        prediction = "flow_prediction" if flow else self._choice("prediction_type", get_args(Prediction), "epsilon")
        if (prediction == "flow_prediction") != flow:
            self._refuse("prediction_type")
        lcm = self.name == "LCMScheduler"  # its file may leave out what its class assumes
        return Training(
            scheduler=self.name,
            num_train_timesteps=self._count("num_train_timesteps", 1000),
            beta_start=self._number("beta_start", 0.00085 if lcm else 0.0001),
            beta_end=self._number("beta_end", 0.012 if lcm else 0.02),
            beta_schedule=cast(
                "BetaSchedule",
                self._choice("beta_schedule", get_args(BetaSchedule), "scaled_linear" if lcm else "linear"),
            ),
            trained_betas=self._betas(),
            prediction_type=cast("Prediction", prediction),
            rescale_betas_zero_snr=bool(self.config.get("rescale_betas_zero_snr")),
            spacing=cast("Spacing | None", self._choice("timestep_spacing", get_args(Spacing), None)),
            steps_offset=self._count("steps_offset", 0, least=0),
            set_alpha_to_one=bool(self.config.get("set_alpha_to_one", True)),
            final_sigma=cast(
                'Literal["zero", "sigma_min"]', self._choice("final_sigmas_type", ("zero", "sigma_min"), "zero")
            ),
            use_karras_sigmas=bool(self.config.get("use_karras_sigmas")),
            original_inference_steps=self._count("original_inference_steps", 50),
            shift=self._number("shift" if "shift" in self.config else "flow_shift", 1.0),
        )

    def _refuse_unknown(self) -> None:
        for key, value in self.config.items():
            if key in _NEUTRAL:
                if value not in _NEUTRAL[key]:
                    self._refuse(key)
            elif key not in _HARMLESS:
                self._refuse(key)

    def _refuse(self, key: str) -> None:
        raise MismatchedWeights(
            f"scheduler_config.json sets {key} = {str(self.config.get(key))[:60]!r}, which is not supported",
            hint=f"{key} changes how noise is removed; ignoring it would draw other pictures than the model's own",
        )

    def _choice(self, key: str, choices: tuple[str, ...], default: str | None) -> str | None:
        value = self.config.get(key)
        if value is None:
            return default
        if value not in choices:
            self._refuse(key)
        return str(value)

    def _number(self, key: str, default: float) -> float:
        value = self.config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            self._refuse(key)
        return float(cast("float", value))

    def _count(self, key: str, default: int, *, least: int = 1) -> int:
        value = self.config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 100_000:
            self._refuse(key)
        return int(cast("int", value))

    def _betas(self) -> tuple[float, ...] | None:
        value = self.config.get("trained_betas")
        if value is None:
            return None
        count = self._count("num_train_timesteps", 1000)
        good = isinstance(value, list | tuple) and len(value) == count
        if not good or not all(isinstance(beta, int | float) and 0 < beta <= 1 for beta in cast("list[object]", value)):
            self._refuse("trained_betas")
        return tuple(float(beta) for beta in cast("list[float]", value))
