"""Blank and clipped pictures: seen without a model, out of the search, told in a verdict."""

from __future__ import annotations

import numpy as np
import pytest

from limner.refine.arms import Scored, Trial
from limner.refine.faults import faults_of, more_than, told
from limner.refine.ranking import standings
from limner.types import Request, Score


def picture(seed: int, value: float = 0.0, *, faulty: bool = False, prompt: str = "a fox") -> Scored:
    score = Score(scorer="s", revision="1", value=value, scale="", domain="any")
    faults = ("flat",) if faulty else ()
    return Scored(Trial(request=Request(prompt=prompt), seed=seed), "", {"s": score}, faults=faults)


def test_a_flat_and_a_clipped_picture_are_at_fault_and_a_lively_one_is_not() -> None:
    noise = np.random.default_rng(0).integers(20, 230, (32, 32, 3)).astype(np.uint8)
    assert faults_of(noise) == ()
    assert "flat colour" in faults_of(np.full((32, 32, 3), 128, np.uint8))[0]
    assert any("ends of the scale" in fault for fault in faults_of(np.where(noise > 120, 255, 0).astype(np.uint8)))


def test_a_rewrite_whose_pictures_are_at_fault_is_out_however_well_it_scores() -> None:
    own = {seed: picture(seed) for seed in range(4)}
    blank = {seed: picture(seed, 9.0, faulty=True) for seed in range(4)}
    good = {seed: picture(seed, 1.0) for seed in range(4)}
    why = more_than(own.values(), blank.values())
    assert why == "4 of 4 pictures at fault: flat"
    found = standings(own, {"blank": blank, "good": good}, {"s": 1}, floor=None, margin=0.5, faulty={"blank": why})
    assert [each.candidate for each in found if not each.out] == ["good"]
    assert found[1].out == why


@pytest.mark.parametrize("faulty", [0, 2])
def test_words_that_give_such_pictures_anyway_are_not_held_against_a_rewrite(faulty: int) -> None:
    own, theirs = ([picture(seed, faulty=seed < faulty) for seed in range(4)] for _ in range(2))
    assert more_than(own, theirs) == ""
    assert more_than(own, theirs[:1]) == ""


def test_a_verdicts_pictures_at_fault_are_told() -> None:
    assert told([("A", [picture(1), picture(2)]), ("B", [picture(1, faulty=True), picture(2)])]) == [
        "B: 1 of 2 pictures at fault: flat"
    ]
