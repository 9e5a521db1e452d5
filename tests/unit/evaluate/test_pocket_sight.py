"""Facts follow from what is seen by the laws of probability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.evaluate.pocket_sight import Fact, Logits, Names, Sight, calibrated, holds, logit

GRID, THINGS = 16, 3
NAMES = Names(("red", "blue"), ("snow", "plain"), ("day", "night"), ("red", "none"))
RELATIONS = ("left", "right", "above", "below", "on", "beside")
FOX, CAT, DOG = range(THINGS)


def logits(seed: int = 0, there: float = -10.0) -> Logits:
    rng = np.random.default_rng(seed)
    return Logits(
        np.full((GRID, GRID), there),
        rng.normal(size=(GRID, GRID, THINGS)),
        rng.normal(size=(GRID, GRID, 2)),
        rng.uniform(-0.5, 0.5, (GRID, GRID, 2)),
        *(rng.normal(size=2) for _ in range(3)),
    )


def showing(*put: tuple[int, int, int, int], sure: float = 10.0) -> Sight:
    """A picture with (row, column, thing, colour)s in it."""
    found = logits()
    found.things[:], found.colours[:], found.shifts[:] = 0, 0, 0
    for row, column, thing, colour in put:
        found.there[row, column] = sure
        found.things[row - 1 : row + 2, column - 1 : column + 2, thing] = 12
        found.colours[row - 1 : row + 2, column - 1 : column + 2, colour] = 12
    return Sight(found, NAMES, {})


def test_what_is_there_is_told_with_its_colour_number_and_place() -> None:
    sight = showing((4, 4, FOX, 0), (4, 12, FOX, 0), (12, 8, CAT, 1))
    assert sight.yes(Fact("thing", (FOX,))) > 0.95
    assert sight.yes(Fact("thing", (DOG,))) < 0.05
    assert sight.yes(Fact("colour", (FOX,), "red")) > 0.95
    assert sight.yes(Fact("colour", (CAT,), "red")) < 0.05
    assert 0.5 < sight.yes(Fact("colour", (DOG,), "red")) < 0.8  # no dog, and most of what there is is red
    assert [sight.yes(Fact("count", (FOX,), n)) > 0.5 for n in (1, 2, 3)] == [False, True, False]
    assert sight.yes(Fact("relation", (FOX, CAT), "above")) > 0.9
    assert sight.yes(Fact("relation", (CAT, FOX), "above")) < 0.05
    assert sight.yes(Fact("relation", (FOX, FOX), "left")) > 0.9  # a fox beside a fox
    assert sight.yes(Fact("relation", (CAT, CAT), "left")) < 0.05
    assert [(round(s.x * GRID, 1), round(s.y * GRID, 1)) for s in sight.sightings] == [
        (4.5, 4.5),
        (12.5, 4.5),
        (8.5, 12.5),
    ]


def test_one_centre_between_cells_is_one_thing() -> None:
    found = logits()
    found.there[8, 7:9] = 0.0  # one half each
    found.things[...] = [9.0, 0.0, 0.0]
    sight = Sight(found, NAMES, {})
    assert len(sight.sightings) == 1
    assert sight.yes(Fact("count", (FOX,), 1)) > 0.9


@given(st.integers(0, 500), st.floats(-4, 0))
@settings(max_examples=40, deadline=None)
def test_the_laws_of_probability_hold_for_whatever_is_seen(seed: int, there: float) -> None:
    sight = Sight(logits(seed, there), NAMES, {"count": (2.0, 1.0)})
    fox, cat = (sight.yes(Fact("thing", (thing,))) for thing in (FOX, CAT))
    assert sum(sight.raw(Fact("count", (FOX,), n)) for n in range(11)) == pytest.approx(1)
    assert sum(sight.raw(Fact("colour", (FOX,), c)) for c in NAMES.colours) == pytest.approx(1)
    assert sum(sight.raw(Fact("place", (), place)) for place in NAMES.places) == pytest.approx(1)
    assert all(0 < sight.yes(Fact("count", (FOX,), n)) <= fox for n in range(1, 6))
    assert all(0 < sight.yes(Fact("relation", (FOX, CAT), r)) <= min(fox, cat) for r in RELATIONS)


def test_nothing_holds_where_nothing_is() -> None:
    sight = Sight(logits(0, -15.0), NAMES, {})
    assert sight.sightings == []
    about = [Fact("thing", (FOX,)), Fact("colour", (FOX,), "red"), Fact("count", (FOX,), 2)]
    assert all(sight.yes(fact) < 0.001 for fact in [*about, Fact("relation", (FOX, CAT), "left")])


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_relations_are_mirrored(dx: float, dy: float) -> None:
    assert holds("left", dx, dy) == pytest.approx(holds("right", -dx, dy))
    assert holds("above", dx, dy) == pytest.approx(holds("below", dx, -dy))
    assert holds("on", dx, dy) <= holds("above", dx, dy)
    assert holds("beside", dx, dy) == pytest.approx(max(holds("left", dx, dy), holds("right", dx, dy)))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.05, 5), st.floats(-9, 9))
def test_calibration_keeps_the_order_and_stays_a_probability(a: float, b: float, slope: float, offset: float) -> None:
    low, high = sorted((calibrated(a, (slope, offset)), calibrated(b, (slope, offset))))
    assert 0 < low <= high < 1
    if logit(a) < logit(b):
        assert calibrated(a, (slope, offset)) <= calibrated(b, (slope, offset))
    assert calibrated(0.3, (1.0, 0.0)) == pytest.approx(0.3)


def test_a_fact_is_its_thing_times_the_rest_each_calibrated_for_itself() -> None:
    lines = {"thing": (0.5, 1.0), "count": (2.0, -1.0), "colour": (0.5, 0.5)}
    sight = Sight(logits(1, -3.0), NAMES, {}).through(lines)
    thing, two, red = Fact("thing", (FOX,)), Fact("count", (FOX,), 2), Fact("colour", (FOX,), "red")
    there = calibrated(sight.raw(thing), lines["thing"])
    assert sight.yes(thing) == pytest.approx(there)
    assert sight.yes(two) == pytest.approx(there * calibrated(sight.raw(two), lines["count"]))
    assert sight.yes(red) == pytest.approx(calibrated(sight.raw(red), lines["colour"]))
    night = Fact("time", (), "night")
    assert sight.yes(night) == pytest.approx(sight.raw(night))  # a kind without a line stays as it is


@pytest.mark.parametrize("fact", [Fact("mood"), Fact("thing"), Fact("relation", (FOX, CAT), "inside")])
def test_what_cannot_be_asked_is_refused(fact: Fact) -> None:
    with pytest.raises(ValueError, match="no such"):
        showing((4, 4, FOX, 0), (4, 12, CAT, 0)).yes(fact)


def test_things_that_look_alike_are_counted_though_it_is_unsure_what_they_are() -> None:
    found = logits()
    found.things[...] = [1.0, 1.0, -20.0]  # a fox or a cat
    for column in (2, 7, 12):
        found.there[8, column] = 10.0
    sight = Sight(found, NAMES, {})
    three, two = (sight.raw(Fact("count", (FOX,), n)) for n in (3, 2))
    assert three > 0.9
    assert two < 0.1
