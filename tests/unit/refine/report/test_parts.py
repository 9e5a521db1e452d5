"""Plots, albums and changed words: their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.refine.pairs import Scorer, Values
from limner.refine.report.cases import chosen
from limner.refine.report.changes import changes
from limner.refine.report.embed import SIDES, album
from limner.refine.report.plots import Scale, dot_plot, scatter
from limner.refine.verdict import judge
from tests.unit.refine.paired import drawn, paired_by

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)
WORDS = st.text(alphabet="ab ,.()", max_size=30)


@given(st.lists(FINITE, min_size=1, max_size=40))
def test_scale_holds_all_its_values_and_its_ticks(values: list[float]) -> None:
    scale = Scale.over(values)
    assert all(0 <= scale.at(value) <= 100 for value in values)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 12
    assert all(-0.01 <= tick.at <= 100.01 for tick in ticks)
    assert len({tick.label for tick in ticks}) == len(ticks)


@given(WORDS, WORDS)
def test_changes_can_be_read_both_ways(before: str, after: str) -> None:
    pieces = changes(before, after)
    assert "".join(piece.text for piece in pieces if piece.kind != "out") == after
    assert "".join(piece.text for piece in pieces if piece.kind != "new") == before


def test_every_unit_has_its_dot_on_its_side() -> None:
    paired = drawn(np.random.default_rng(1), n=24, judge=0.5)
    verdict = judge(paired, judges=["judge"], alignment="alignment", diversity="diversity")
    plot = dot_plot(verdict.judges[0], paired.values["judge"], paired.units)
    assert {dot.unit for dot in plot.dots} == set(paired.units)
    sides = [dot.side for dot in plot.dots]
    assert (sides.count("b"), sides.count("a")) == (verdict.judges[0].wins, verdict.judges[0].losses)
    assert plot.low is not None
    assert plot.high is not None
    assert 0 <= plot.low <= plot.mean <= plot.high <= 100
    places = {(dot.at, dot.up) for dot in plot.dots}
    assert len(places) == len(plot.dots)  # none hides another


def test_margin_lies_on_the_side_of_the_loss() -> None:
    paired = drawn(np.random.default_rng(2), n=24)
    guard = judge(paired, judges=["judge"], alignment="alignment", diversity=None).guards[0]
    values = paired.values["alignment"]
    for toward in (1, -1):
        plot = dot_plot(guard, values, paired.units, toward)
        assert plot.margin is not None
        assert (plot.margin < plot.zero) == (toward == 1)


def test_lower_is_better_is_turned_round() -> None:
    scorer = Scorer(name="blur", revision="1", better="lower")
    falls = Values(scorer=scorer, a=(2.0, 3.0), b=(1.0, 1.0))
    rises = Values(scorer=Scorer(name="x", revision="1"), a=(0.0, 0.0), b=(1.0, 2.0))
    cloud = scatter(falls, rises, ("1", "2"))
    assert cloud.same == 1.0
    assert all(point.x > cloud.zero_x and point.y < cloud.zero_y for point in cloud.points)  # up is less y


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 100])
def test_each_pair_is_chosen_once_at_most(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    paired = paired_by(judge=(np.zeros(n), values))
    picked = chosen(paired, "judge", 20)
    places = [choice.place for choice in picked]
    assert len(set(places)) == len(places) == min(n, 20)
    assert {int(values.argmin()), int(values.argmax())} <= set(places)


def test_pictures_shrink_to_the_budget_and_not_below() -> None:
    rng = np.random.default_rng(0)
    noisy = {str(k): rng.integers(0, 256, (900, 700, 3), dtype=np.uint8) for k in range(3)}
    whole = album({name: (lambda pixels=pixels: pixels) for name, pixels in noisy.items()}, budget=10**9)
    assert whole.side == SIDES[0]
    assert {(each.width, each.height) for each in whole.shown.values()} == {(597, 768)}
    small = album({name: (lambda pixels=pixels: pixels) for name, pixels in noisy.items()}, budget=whole.bytes // 3)
    assert small.bytes <= whole.bytes // 3
    assert small.side < whole.side
    least = album({name: (lambda pixels=pixels: pixels) for name, pixels in noisy.items()}, budget=1)
    assert least.side == SIDES[-1]


def test_a_small_picture_stays_as_it_is() -> None:
    found = album({"a": lambda: np.zeros((24, 32, 3), np.uint8), "b": lambda: None})
    assert (found.shown["a"].width, found.shown["a"].height) == (32, 24)
    assert found.shown["b"].uri == ""
