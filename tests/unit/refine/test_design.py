"""Budgets: what is a budget, what is too small, and that the verdict's share comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import InvalidRequest
from limner.refine.design import Budget, divided, images_of, seed_of
from limner.refine.halving import pictures
from limner.types import Request
from tests.unit.refine.gauss import design_of


@pytest.mark.parametrize(
    ("text", "images", "seconds"),
    [
        ("160images", 160, None),
        ("60", 60, None),
        ("600s", None, 600.0),
        ("10min", None, 600.0),
        ("1.5 h", None, 5400.0),
    ],
)
def test_budgets(text: str, images: int | None, seconds: float | None) -> None:
    budget = Budget.parse(text)
    assert (budget.images, budget.seconds) == (images, seconds)


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5images", "ten", "5 weeks", "nan", "1e99", "99999999999"])
def test_no_budgets(text: str) -> None:
    with pytest.raises(InvalidRequest, match="budget"):
        Budget.parse(text)


def test_too_small_a_budget_is_said_with_the_least_that_would_do() -> None:
    with pytest.raises(InvalidRequest, match="too small for a verdict") as caught:
        divided(19, 1)
    assert "--budget 20images" in caught.value.hint
    divided(20, 1)


@given(st.integers(20, 3_000), st.integers(1, 3))
def test_a_division_spends_no_more_than_there_is_and_can_decide(images: int, judges: int) -> None:
    try:
        rungs, pairs, finalists = divided(images, judges)
    except InvalidRequest:
        assert images < 30
        return
    assert pictures(rungs) + (1 + finalists) * pairs <= images
    assert 2 ** (1 - pairs) * judges * finalists <= 0.05
    assert finalists in (1, 2)


def test_seconds_need_a_pace() -> None:
    assert images_of(Budget(seconds=60), 0.5) == 120
    with pytest.raises(InvalidRequest, match="not known yet"):
        images_of(Budget(seconds=60), None)


def test_search_and_verdict_have_no_seed_in_common() -> None:
    for images in (20, 160, 3_000):
        design = design_of(images)
        assert not set(design.search_seeds) & set(design.verdict_seeds)


def test_the_seed_is_of_what_is_refined_and_of_nothing_else() -> None:
    request = Request(prompt="a fox")
    assert seed_of(request, "a fox", ["x"]) == seed_of(request.model_copy(update={"seed": 5}), "a fox", ["x"])
    assert seed_of(request, "a fox", ["x"]) != seed_of(request, "a fox", ["y"])
