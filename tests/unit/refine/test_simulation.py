"""THE proof: how often the whole procedure calls a rewrite better that is not, and how often it finds one that is."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from tests.unit.refine.gauss import Gauss, design_of, refined

RUNS = 300
IMAGES = 60


def outcomes(gain: float, runs: int, *, images: int = IMAGES) -> tuple[int, int]:
    """(runs with a verdict "better", runs in which a judge found the rewrite better)."""
    better = judged = 0
    for seed in range(runs):
        _, verdicts = refined(design_of(images), Gauss(seed, {"way 2": gain} if gain else {}))
        better += any(verdict.outcome == "better" for verdict in verdicts)
        judged += any(test.finding == "B" for verdict in verdicts for test in verdict.judges)
    return better, judged


def upper(count: int, runs: int, confidence: float = 0.95) -> float:
    """Wilson's one-sided upper bound of a share."""
    z, share = NormalDist().inv_cdf(confidence), count / runs
    middle = share + z * z / (2 * runs)
    return (middle + z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))) / (1 + z * z / runs)


def test_without_an_effect_the_procedure_says_better_in_at_most_one_of_twenty() -> None:
    better, judged = outcomes(0.0, RUNS)
    assert upper(better, RUNS) <= 0.05, f"{better} of {RUNS}"
    assert upper(judged, RUNS) <= 0.05, f"{judged} of {RUNS}"  # the judge alone, without the guards


def test_naive_search_and_test_on_the_same_seeds_is_fooled_one_time_in_four() -> None:
    """Best of 16 prompts by 8 seeds, then a t test on those very seeds: what is done everywhere else. The same
    prompt's fresh seeds are right."""
    runs, critical = 4_000, 2.3646  # Student's t, 7 degrees of freedom, two-sided 5 %
    differences = np.random.default_rng(6).normal(size=(runs, 16, 8))
    best = differences[np.arange(runs), differences.mean(axis=2).argmax(axis=1)]
    fresh = np.random.default_rng(7).normal(size=(runs, 8))
    fooled, right = (float((_t(each) > critical).mean()) for each in (best, fresh))
    assert 0.22 <= fooled <= 0.30, fooled
    assert right <= 0.035, right


def _t(differences: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    error = differences.std(axis=1, ddof=1) / math.sqrt(differences.shape[1])
    return differences.mean(axis=1) / error


@pytest.mark.parametrize(("gain", "least"), [(0.8, 0.35), (1.5, 0.80)])
def test_a_true_gain_is_found_by_the_judge(gain: float, least: float) -> None:
    _, judged = outcomes(gain, 80)
    assert judged / 80 >= least


def test_a_gain_that_costs_nothing_is_called_better() -> None:
    """With more pairs the guards are shown to hold, too."""
    better, judged = outcomes(1.2, 25, images=160)
    assert better >= 10
    assert judged >= 20


def test_judges_never_see_a_seed_of_the_search_and_search_scorers_never_one_of_the_verdict() -> None:
    gauss = Gauss(3, {"way 2": 1.5})
    design = design_of(IMAGES)
    refined(design, gauss)
    searched = {trial.seed for ask in gauss.asked if ask.phase == "search" for trial in ask.trials}
    proved = {trial.seed for ask in gauss.asked if ask.phase == "verdict" for trial in ask.trials}
    assert searched
    assert proved
    assert not searched & proved
    assert {metric for ask in gauss.asked if ask.phase == "search" for metric in ask.metrics} == {"searcher"}
    assert all("judge" in ask.metrics for ask in gauss.asked if ask.phase == "verdict")


def test_no_more_pictures_than_the_budget_pays_for() -> None:
    for images in (20, 30, 60, 100, 160):
        gauss = Gauss(1, {"way 2": 1.0})
        refined(design_of(images), gauss)
        drawn = {(trial.request.prompt, trial.seed) for ask in gauss.asked for trial in ask.trials}
        assert len(drawn) <= images
