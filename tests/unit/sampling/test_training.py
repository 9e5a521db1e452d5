from __future__ import annotations

import json
import math

import pytest

from limner.errors import MismatchedWeights
from limner.sampling.training import DIFFUSION, FLOW, Training

SD1 = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}


def test_reads_the_published_file_of_stable_diffusion_1() -> None:
    training = Training.from_json(json.loads(json.dumps(SD1)))
    assert (training.beta_schedule, training.beta_start, training.beta_end) == ("scaled_linear", 0.00085, 0.012)
    assert (training.steps_offset, training.set_alpha_to_one, training.spacing) == (1, False, None)
    assert training.prediction_type == "epsilon"
    assert not training.flow


def test_alphas_of_stable_diffusion_1() -> None:
    products = Training.from_json(SD1).alphas_cumprod()
    assert products[0] == pytest.approx(1 - 0.00085, abs=1e-7)
    assert products[-1] == pytest.approx(0.00466, abs=1e-5)


def test_zero_terminal_snr_ends_at_zero_and_begins_where_it_was() -> None:
    plain = Training.from_json(SD1).alphas_cumprod()
    rescaled = Training.from_json(SD1 | {"rescale_betas_zero_snr": True})
    assert rescaled.alphas_cumprod()[-1] == 0.0
    assert rescaled.alphas_cumprod()[0] == pytest.approx(plain[0], abs=1e-6)
    assert rescaled.alphas_cumprod(terminal=2**-24)[-1] == 2**-24


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"rescale_betas_zero_snr": True},
        {"beta_schedule": "linear"},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"num_train_timesteps": 250},
    ],
    ids=["sd1", "zero-snr", "linear", "cosine", "250"],
)
def test_alphas_are_those_of_diffusers(extra: dict[str, object]) -> None:
    diffusers = pytest.importorskip("diffusers")
    config = SD1 | extra
    theirs = diffusers.DDIMScheduler.from_config(config).alphas_cumprod.double().numpy()
    ours = Training.from_json(config).alphas_cumprod()
    # Equal but for the rescaling: torch's square root is good to one place in the last, numpy's to half of one.
    assert abs(ours - theirs).max() <= (5e-7 if config.get("rescale_betas_zero_snr") else 6e-8)


@pytest.mark.parametrize("name", sorted(DIFFUSION | FLOW))
def test_known_classes_exist_in_diffusers(name: str) -> None:
    assert hasattr(pytest.importorskip("diffusers"), name)


def test_flow_shift_under_both_of_its_names() -> None:
    assert Training.from_json({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}).shift == 3.0
    unipc = Training.from_json(
        {
            "_class_name": "UniPCMultistepScheduler",
            "use_flow_sigmas": True,
            "flow_shift": 5.0,
            "prediction_type": "flow_prediction",
        }
    )
    assert unipc.flow
    assert unipc.shift == 5.0


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"_class_name": "EDMEulerScheduler"}, "EDMEulerScheduler"),
        ({"thresholding": True}, "thresholding"),
        ({"beta_schedule": "sigmoid"}, "beta_schedule"),
        ({"prediction_type": "score"}, "prediction_type"),
        ({"prediction_type": "flow_prediction"}, "prediction_type"),
        ({"timestep_spacing": "sideways"}, "timestep_spacing"),
        ({"use_exponential_sigmas": True}, "use_exponential_sigmas"),
        ({"sigma_max": 700.0}, "sigma_max"),
        ({"variance_type": "learned_range"}, "variance_type"),
        ({"lambda_min_clipped": -5.1}, "lambda_min_clipped"),
        ({"a_new_invention": 1}, "a_new_invention"),
        ({"num_train_timesteps": 0}, "num_train_timesteps"),
        ({"num_train_timesteps": "1000"}, "num_train_timesteps"),
        ({"num_train_timesteps": 10**12}, "num_train_timesteps"),
        ({"beta_start": math.nan}, "beta_start"),
        ({"beta_end": True}, "beta_end"),
        ({"steps_offset": -1}, "steps_offset"),
        ({"trained_betas": [0.1, 0.2]}, "trained_betas"),
        ({"trained_betas": "all of them"}, "trained_betas"),
        ({"timestep_spacing": ["leading"]}, "timestep_spacing"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True}, "use_dynamic_shifting"),
    ],
)
def test_what_changes_the_mathematics_is_refused_by_name(extra: dict[str, object], named: str) -> None:
    with pytest.raises(MismatchedWeights, match=named) as caught:
        Training.from_json(SD1 | extra)
    assert caught.value.hint


@pytest.mark.parametrize("extra", [{"lambda_min_clipped": -math.inf}, {"thresholding": False}, {"clip_sample": True}])
def test_what_does_not_is_accepted(extra: dict[str, object]) -> None:
    assert Training.from_json(SD1 | extra) == Training.from_json(SD1)
