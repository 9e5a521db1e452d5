"""Whole samplings agree with diffusers' schedulers: same network, same seed, float32."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("diffusers")

from limner.sampling.catalog import SOLVERS, find
from tests.unit.sampling.drive import FLOW, SD1, SD2, SHAPE, ZERO_SNR, Network, ours, theirs

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")

TOLERANCE = 1e-4  # of the largest value; measured: 2e-6 except where diffusers itself is coarser (see below)
STEPS = (1, 2, 5, 10, 20, 50)
MODELS = {
    "eps": SD1,
    "eps-leading": SD1 | {"timestep_spacing": "leading"},
    "v": SD2,
    "v-trailing": SD2 | {"timestep_spacing": "trailing"},
    "v-zero-snr": ZERO_SNR,
    "flow": FLOW,
    "flow-unshifted": FLOW | {"shift": 1.0},
    "cosine": SD2 | {"beta_schedule": "squaredcos_cap_v2"},
    "linear": SD1 | {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02},
    "own-betas": SD1 | {"trained_betas": [0.001 + 0.000018 * i for i in range(1000)]},
    "ends-at-sigma-min": SD1 | {"final_sigmas_type": "sigma_min"},
    "karras-in-config": SD1 | {"use_karras_sigmas": True},
}


def distance(solver: str, config: dict[str, object], steps: int, *, karras: bool = False) -> float:
    card, network = find(solver), Network()
    b = theirs(card, config, steps, network, karras=karras)
    asked_there = list(network.calls)
    network.calls.clear()
    a = ours(card, config, steps, network, karras=karras).x
    assert network.calls == pytest.approx(asked_there, abs=1e-3), "the network is told other timesteps"
    return ((a - b).abs().max() / b.abs().max()).item()


def comparable(solver: str, model: str) -> bool:
    if model.startswith("flow"):
        return SOLVERS[solver].flow
    if model == "v-zero-snr":
        return solver != "heun"  # diffusers' Heun does not know zero terminal SNR
    if model == "cosine":
        # There the training noise ends at sigma/alpha = 20,000: diffusers' Heun leaps all of it (ours does not), its
        # Euler keeps x/alpha in float32, and rounded Karras timesteps collide (an IndexError there).
        return solver in {"dpmpp-2m", "dpmpp-2m-sde", "unipc", "ddim", "lcm"}
    return True


@pytest.mark.parametrize(("solver", "model"), [(s, m) for s in SOLVERS for m in MODELS if comparable(s, m)])
def test_same_latents_as_diffusers(solver: str, model: str) -> None:
    for steps in STEPS:
        if model == "v-zero-snr" and (steps, SOLVERS[solver].placement) in {(1, "interpolated"), (2, "interpolated")}:
            continue  # test_zero_snr_within_float32 below
        if model == "v-zero-snr" and steps == 50 and SOLVERS[solver].karras:
            continue  # two first timesteps round to 999 and diffusers runs off its table
        assert distance(solver, MODELS[model], steps) <= TOLERANCE, f"{steps} steps"


@pytest.mark.parametrize("steps", [7, 14, 15, 16, 33])
@pytest.mark.parametrize("solver", SOLVERS)
def test_steps_that_do_not_divide_the_training_steps(solver: str, steps: int) -> None:
    assert distance(solver, SD1, steps) <= TOLERANCE
    if solver not in {"ddim", "heun"} and not (SOLVERS[solver].karras and steps == 33):
        # DDIM with trailing spacing: diffusers steps to t - 1000 // steps, then evaluates elsewhere; we do not.
        assert distance(solver, ZERO_SNR, steps) <= TOLERANCE


@pytest.mark.parametrize("solver", ["euler", "heun", "dpmpp-2m", "dpmpp-2m-sde", "unipc"])
def test_karras_schedule(solver: str) -> None:
    for steps in STEPS:
        assert distance(solver, SD1, steps, karras=True) <= TOLERANCE


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("solver", ["euler", "euler-a"])
def test_zero_snr_within_float32(solver: str, steps: int) -> None:
    """diffusers holds x/alpha, here 4096 times the noise, in float32: its answer is good to that number's spacing."""
    first = torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(3)).abs().max().item()
    spacing = 4096 * first * torch.finfo(torch.float32).eps
    card, network = find(solver), Network()
    a, b = ours(card, ZERO_SNR, steps, network).x, theirs(card, ZERO_SNR, steps, network)
    assert (a - b).abs().max().item() <= spacing
