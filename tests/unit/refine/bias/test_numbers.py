"""The arithmetic of an audit: what chance does, what a leaning does, what an erring classifier does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import InvalidRequest
from limner.refine.bias.error import Confusion, corrected, wilson
from limner.refine.bias.numbers import Line, line, measured
from limner.refine.bias.skin import MONK, tone
from limner.refine.bias.subjects import GENDER, PROFESSIONS, TRAITS, answer, subjects

CLASSES = ("woman", "man")


def lines_of(shares: np.ndarray, n: int, rng: np.random.Generator) -> list[Line]:
    found = []
    for k, share in enumerate(shares):
        first = int(rng.binomial(n, share))
        found.append(line(f"p{k}", "profession", ["woman"] * first + ["man"] * (n - first), CLASSES))
    return found


def test_a_fair_coin_is_as_one_sided_as_chance_says() -> None:
    found = measured("x", CLASSES, lines_of(np.full(400, 0.5), 16, np.random.default_rng(0)))
    for number in (found.one_sided, found.entropy):
        assert number is not None
        assert number.chance is not None
        assert number.low <= number.chance <= number.high
    assert found.one_sided is not None
    assert found.one_sided.value > 0.08, "though the coin leans nowhere: that is why chance is told"
    assert found.between is not None
    assert found.between.value < 0.05, "seeds alone make no difference between prompts"


def test_a_leaning_is_found_and_differences_between_prompts_too() -> None:
    rng = np.random.default_rng(1)
    true = rng.choice([0.1, 0.9], 60)
    found = measured("x", CLASSES, lines_of(true, 16, rng))
    assert found.one_sided is not None
    assert found.between is not None
    assert found.one_sided.chance is not None
    assert found.one_sided.low > found.one_sided.chance
    assert found.between.value == pytest.approx(float(true.std(ddof=1)), abs=0.05)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Of 100 audits of 30 prompts x 16 seeds whose prompts come from one population."""
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(100):
        found = measured("x", CLASSES, lines_of(rng.beta(2, 4, 30), 16, rng), rng=np.random.default_rng(0))
        assert found.share is not None
        held += found.share.low <= 1 / 3 <= found.share.high
    assert held >= 87  # of 95 in the limit; below 87 with odds of 1 to 1000


def test_what_is_unclear_is_counted_and_decides_nothing() -> None:
    half = line("a", "trait", ["woman"] * 3 + ["unclear"] * 5, CLASSES)
    none = line("b", "trait", ["unclear", "nobody"], CLASSES)
    found = measured("x", CLASSES, [half, none])
    assert (half.share, half.clear, none.share) == (1.0, 3, None)
    assert (found.unclear, found.nobody, found.pictures) == (0.6, 0.1, 10)
    assert found.share is not None
    assert found.share.value == 1.0
    assert found.between is not None or len([half]) == 1
    empty = measured("x", CLASSES, [none])
    assert (empty.share, empty.one_sided, empty.entropy, empty.between) == (None, None, None, None)


@given(st.floats(0, 1), st.floats(0.6, 1), st.floats(0, 0.3))
def test_a_known_error_is_taken_out_exactly(share: float, first: float, second: float) -> None:
    seen = np.array([share * first + (1 - share) * second])
    assert corrected(seen, first, second)[0] == pytest.approx(share, abs=1e-9)


def test_the_error_s_own_doubt_widens_the_interval() -> None:
    rng = np.random.default_rng(3)
    lines = lines_of(np.full(30, 0.4), 16, rng)
    wide = Confusion.of(CLASSES, {"woman": ["woman"] * 8 + ["man"] * 2, "man": ["man"] * 9 + ["woman"]})
    sure = Confusion.of(CLASSES, {"woman": ["woman"] * 800 + ["man"] * 200, "man": ["man"] * 900 + ["woman"] * 100})

    def width(error: Confusion | None) -> float:
        share = measured("x", CLASSES, lines, error, np.random.default_rng(0)).share
        assert share is not None
        return share.high - share.low

    assert width(wide) > 1.5 * width(sure) > 1.2 * width(None)


def test_a_classifier_that_guesses_corrects_nothing() -> None:
    guess = Confusion.of(CLASSES, {each: ["woman", "man"] * 20 for each in CLASSES})
    assert not guess.usable
    assert guess.wrong("man") == (0.5, *wilson(20, 40))
    lines = lines_of(np.full(10, 0.4), 16, np.random.default_rng(0))
    assert not measured("x", CLASSES, lines, guess).corrected
    with pytest.raises(InvalidRequest, match="no picture of man"):
        Confusion.of(CLASSES, {"woman": ["woman"], "man": ["unclear"]})


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=60)
def test_wilson_holds_the_share(hits: int, misses: int) -> None:
    low, high = wilson(hits, hits + misses)
    assert 0 <= low <= high <= 1
    if hits + misses:
        assert low - 1e-9 <= hits / (hits + misses) <= high + 1e-9


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.floats(0.001, 0.5))
def test_an_answer_needs_a_lead(values: list[float], margin: float) -> None:
    first, second, nobody = values
    found = answer(GENDER, values, margin)
    mirrored = answer(GENDER, [second, first, nobody], margin)
    assert {found, mirrored} in ({"woman", "man"}, {"unclear"}, {"nobody"})
    assert (found in CLASSES) is (nobody <= max(first, second) and abs(first - second) >= margin)


def test_subjects_say_nothing_of_who_it_is() -> None:
    found = subjects(30, 10)
    assert len({each.prompt for each in found}) == 40 == len(PROFESSIONS) + len(TRAITS)
    gendered = {"man", "woman", "he", "she", "his", "her", "boy", "girl", "lady", "male", "female", "policeman"}
    for each in found:
        assert not gendered & set(each.prompt.split()), each.prompt
        assert " a a" not in each.prompt.replace(" a ambitious", " a a")
    assert subjects(1, 1)[1].prompt == "a photo of the face of an ambitious person"
    with pytest.raises(InvalidRequest):
        subjects(0, 0)


@pytest.mark.parametrize("number", range(1, 11))
def test_a_picture_of_one_tone_is_that_tone_or_says_nothing(number: int) -> None:
    colour = [int(MONK[number - 1][k : k + 2], 16) for k in (0, 2, 4)]
    found = tone(np.full((64, 64, 3), colour, np.uint8))
    assert found in (number, None)
    if 5 <= number <= 8:
        assert found == number, "the middle of the scale is found; its ends may be missed, as its module says"


def test_no_skin_no_tone() -> None:
    for colour in ((20, 60, 200), (0, 160, 0), (128, 128, 128), (0, 0, 0)):
        assert tone(np.full((50, 80, 3), colour, np.uint8)) is None
