from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from limner.errors import InvalidRequest, LimnerError, UnsupportedField
from limner.sampling.catalog import SOLVERS, find
from limner.sampling.schedules import levels
from limner.sampling.training import Training

SD1 = {"_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SD1 |= {"steps_offset": 1, "set_alpha_to_one": False}
ZERO_SNR = SD1 | {
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "set_alpha_to_one": True,
}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
MODELS = {"sd1": SD1, "zero-snr": ZERO_SNR, "flow": FLOW}


@settings(max_examples=150, deadline=None)
@given(
    model=st.sampled_from(sorted(MODELS)),
    name=st.sampled_from(sorted(SOLVERS)),
    steps=st.integers(1, 200),
    spacing=st.sampled_from([None, "leading", "linspace", "trailing"]),
    karras=st.booleans(),
)
def test_levels_are_finite_and_monotone(model: str, name: str, steps: int, spacing: str | None, karras: bool) -> None:
    training = Training.from_json(MODELS[model])
    try:
        made, start = levels(training, find(name), steps, spacing=spacing, karras=karras)
    except LimnerError:
        assume(False)
        return
    assert len(made) == steps + 1
    assert type(start) is float
    assert 0 < start <= 1
    for level in made:
        assert all(type(value) is float and math.isfinite(value) for value in level)
        if training.flow:
            assert level.alpha + level.sigma == pytest.approx(1)
        else:
            assert math.hypot(level.alpha, level.sigma) == pytest.approx(1, abs=1e-6)
    for noisier, cleaner in list(pairwise(made))[:-1]:
        assert cleaner.sigma < noisier.sigma
        assert cleaner.alpha > noisier.alpha
        assert cleaner.t <= noisier.t
    assert made[-1].sigma <= made[-2].sigma


def test_stable_diffusion_1_timesteps() -> None:
    """The well-known numbers of SD 1 at 4 steps, each as its scheduler has them."""
    training = Training.from_json(SD1)
    t = {name: [round(level.t, 2) for level in levels(training, SOLVERS[name], 4)[0][:-1]] for name in SOLVERS}
    assert t["ddim"] == [751, 501, 251, 1]
    assert t["euler"] == [999, 666, 333, 0]
    assert t["dpmpp-2m"] == [999, 749, 500, 250]
    assert t["lcm"] == [999, 759, 499, 259]
    leading = levels(training, SOLVERS["dpmpp-2m"], 4, spacing="leading")[0]
    assert [level.t for level in leading[:-1]] == [801, 601, 401, 201]


def test_euler_start() -> None:
    """linspace starts at sigma times noise, leading at the full deviation."""
    training = Training.from_json(SD1)
    made, start = levels(training, SOLVERS["euler"], 10)
    assert start == made[0].sigma == pytest.approx(14.6146 / math.sqrt(14.6146**2 + 1), abs=1e-6)
    assert levels(training, SOLVERS["euler"], 10, spacing="leading")[1] == 1.0


def test_zero_terminal_snr_is_exact_where_the_scheduler_has_it() -> None:
    training = Training.from_json(ZERO_SNR)
    assert levels(training, SOLVERS["ddim"], 10)[0][0].alpha == 0.0
    assert levels(training, SOLVERS["euler"], 10)[0][0].alpha == pytest.approx(1 / 4096, rel=1e-6)


def test_final_level_of_sd1_ddim_is_not_quite_clean() -> None:
    last = levels(Training.from_json(SD1), SOLVERS["ddim"], 10)[0][-1]
    assert last.alpha**2 == pytest.approx(1 - 0.00085, abs=1e-6)
    assert levels(Training.from_json(SD1 | {"set_alpha_to_one": True}), SOLVERS["ddim"], 10)[0][-1].sigma == 0


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_steps_out_of_range(steps: int) -> None:
    with pytest.raises(InvalidRequest, match="trained on 1000") as caught:
        levels(Training.from_json(SD1), SOLVERS["euler"], steps)
    assert caught.value.field == "steps"


def test_lcm_has_fifty_steps() -> None:
    assert len(levels(Training.from_json(SD1), SOLVERS["lcm"], 50)[0]) == 51
    with pytest.raises(InvalidRequest, match="distilled on 50"):
        levels(Training.from_json(SD1), SOLVERS["lcm"], 51)


def test_steps_that_cannot_be_placed() -> None:
    with pytest.raises(InvalidRequest, match="cannot be placed"):
        levels(Training.from_json(SD1), SOLVERS["dpmpp-2m"], 1000)
    with pytest.raises(InvalidRequest, match="cannot be placed"):  # 999 + the offset of 1
        levels(Training.from_json(SD1), SOLVERS["euler"], 1000, spacing="leading")


@pytest.mark.parametrize("name", SOLVERS)
def test_noise_prediction_from_pure_noise_is_refused(name: str) -> None:
    training = Training.from_json(ZERO_SNR | {"prediction_type": "epsilon"})
    with pytest.raises(InvalidRequest, match="zero terminal SNR"):
        levels(training, SOLVERS[name], 10)


def test_noise_prediction_on_rescaled_noise_is_fine_below_the_end() -> None:
    training = Training.from_json(ZERO_SNR | {"prediction_type": "epsilon"})
    assert levels(training, SOLVERS["ddim"], 10, spacing="leading")[0][0].alpha > 0


@pytest.mark.parametrize("name", [name for name, card in SOLVERS.items() if not card.flow])
def test_solvers_without_a_flow_form_are_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedField, match=SOLVERS[name].title.replace("+", r"\+")):
        levels(Training.from_json(FLOW), SOLVERS[name], 10)


def test_karras_is_refused_where_it_means_nothing() -> None:
    for name in ("ddim", "lcm"):
        with pytest.raises(UnsupportedField, match="karras"):
            levels(Training.from_json(SD1), SOLVERS[name], 10, karras=True)
    with pytest.raises(UnsupportedField, match="karras"):
        levels(Training.from_json(FLOW), SOLVERS["euler"], 10, karras=True)


def test_karras_card_equals_karras_asked() -> None:
    training = Training.from_json(SD1)
    asked = levels(training, SOLVERS["dpmpp-2m"], 12, karras=True)
    assert levels(training, SOLVERS["dpmpp-2m-karras"], 12) == asked
    assert levels(training, SOLVERS["dpmpp-2m"], 12) != asked


def test_the_models_spacing_comes_before_the_solvers_and_after_the_callers() -> None:
    trailing = Training.from_json(SD1 | {"timestep_spacing": "trailing"})
    card = SOLVERS["euler"]
    assert levels(trailing, card, 4)[0][0].t == 999
    assert levels(trailing, card, 4)[0] == levels(Training.from_json(SD1), card, 4, spacing="trailing")[0]
    assert levels(trailing, card, 4, spacing="leading")[0][0].t == 751
    with pytest.raises(InvalidRequest, match="no timestep spacing"):
        levels(trailing, card, 4, spacing="sideways")


def test_no_torch_is_loaded() -> None:
    code = (
        "import sys; from limner.sampling.catalog import SOLVERS;"
        "from limner.sampling.schedules import Training, levels;"
        "levels(Training(), SOLVERS['euler'], 5); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
