"""The verdict: its laws, its errors, and how often it is wrong where there is nothing to find."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import InvalidRequest
from limner.evaluate.statistics import Interval, pairs_needed
from limner.refine import verdict_tests
from limner.refine.pairs import Paired
from limner.refine.power import foreseen
from limner.refine.verdict import Verdict, judge, judge_all, require_pairs
from limner.refine.verdict_types import Looks
from tests.unit.refine.paired import drawn, paired_by

SWAPPED = {"better": "worse", "worse": "better", "traded off": "traded off", "no evidence": "no evidence"}


def verdict(paired: Paired, **options: object) -> Verdict:
    chosen: dict[str, object] = {"judges": ["judge"], "alignment": "alignment", "diversity": "diversity", **options}
    return judge(paired, **chosen)  # type: ignore[arg-type]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulations go without intervals, which decide nothing and take nine tenths of the time."""
    monkeypatch.setattr(verdict_tests, "sign_flip_interval", lambda d, level: Interval(-np.inf, np.inf))


effects = st.sampled_from([-1.5, -0.6, 0.0, 0.6, 1.5])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), a=effects, b=effects, c=effects)
def test_swapping_the_sides_swaps_better_and_worse(seed: int, a: float, b: float, c: float) -> None:
    paired = drawn(np.random.default_rng(seed), 12, a, b, c)
    there, back = verdict(paired), verdict(paired.swapped())
    assert back.outcome == SWAPPED[there.outcome]
    assert (back.a, back.b) == ("B", "A") or back.a == there.b
    assert back.tests[0].gain == pytest.approx(-there.tests[0].gain)
    assert back.tests[0].p == pytest.approx(there.tests[0].p)
    assert back.more == there.more


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_the_scale_of_a_scorer_decides_nothing(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    sides = [(rng.normal(size=12), rng.normal(size=12) + 0.8) for _ in range(3)]
    names = ("judge", "alignment", "diversity")
    plain = paired_by(**dict(zip(names, sides, strict=True)))
    other = paired_by(
        **{name: (a * scale + shift, b * scale + shift) for name, (a, b) in zip(names, sides, strict=True)}
    )
    assert verdict(plain).outcome == verdict(other).outcome


@pytest.mark.usefixtures("quick")
def test_no_effect_is_called_a_difference_in_no_more_cases_than_alpha() -> None:
    rng = np.random.default_rng(7)
    outcomes = [verdict(drawn(rng, 16)).outcome for _ in range(600)]
    # The test itself is exact; the guards let a little less through. 3 standard errors at 600 tries: 0.027.
    assert sum(each == "better" for each in outcomes) / 600 <= 0.025 + 0.02
    assert sum(each != "no evidence" for each in outcomes) / 600 <= 0.05 + 0.027


@pytest.mark.usefixtures("quick")
def test_no_effect_by_several_judges_and_finalists_is_held_by_holm() -> None:
    rng = np.random.default_rng(8)
    false = 0
    for _ in range(300):
        finalists = []
        for _ in range(2):
            one, other = drawn(rng, 12), drawn(rng, 12)
            finalists.append(one.model_copy(update={"values": {**one.values, "second": other.values["judge"]}}))
        found = judge_all(finalists, judges=["judge", "second"], alignment="alignment", diversity="diversity")
        false += any(each.outcome != "no evidence" for each in found)
    assert false / 300 <= 0.05 + 0.038


@pytest.mark.usefixtures("quick")
def test_two_looks_together_spend_alpha_once() -> None:
    rng = np.random.default_rng(9)
    looks, false = Looks.twice(24), 0
    for _ in range(300):
        whole = drawn(rng, 24)
        first = whole.model_copy(
            update={
                "units": whole.units[:12],
                "planned": 12,
                "values": {
                    name: each.model_copy(update={"a": each.a[:12], "b": each.b[:12]})
                    for name, each in whole.values.items()
                },
            }
        )
        early = verdict(first, looks=looks)
        late = early if early.final else verdict(whole, looks=looks)
        false += late.outcome != "no evidence"
    assert false / 300 <= 0.05 + 0.038


@pytest.mark.usefixtures("quick")
def test_a_large_effect_is_found() -> None:
    rng = np.random.default_rng(10)
    outcomes = [verdict(drawn(rng, 24, judge=1.2, alignment=0.3, diversity=0.3)).outcome for _ in range(60)]
    assert outcomes.count("better") >= 50
    assert "worse" not in outcomes


@pytest.mark.parametrize("guard", ["alignment", "diversity"])
def test_a_gain_that_costs_a_guard_is_traded_off(guard: str) -> None:
    found = verdict(drawn(np.random.default_rng(11), 24, judge=1.5, **{guard: -1.2}))
    assert found.outcome == "traded off"
    assert guard in found.sentence
    lost = next(test for test in found.guards if test.role == guard)
    assert lost.finding == "lost"
    assert lost.margin == pytest.approx(0.5 * np.std(lost_values(found, guard), ddof=1), rel=0.5)


def lost_values(found: Verdict, guard: str) -> list[float]:
    return list(drawn(np.random.default_rng(11), 24, judge=1.5, **{guard: -1.2}).values[guard].a)


def test_judges_that_contradict_each_other_are_traded_off() -> None:
    rng = np.random.default_rng(12)
    base = rng.normal(size=20)
    up, down = (base, base + 1 + 0.1 * rng.normal(size=20)), (base, base - 1 + 0.1 * rng.normal(size=20))
    same = (base, base)
    found = verdict(paired_by(judge=up, other=down, alignment=same, diversity=same), judges=["judge", "other"])
    assert found.outcome == "traded off"
    assert "judge prefers B" in found.sentence
    assert "other prefers A" in found.sentence


def test_an_open_guard_is_no_evidence_and_says_how_many_more() -> None:
    rng = np.random.default_rng(13)
    base = rng.normal(size=24)
    noisy = (rng.normal(size=24), rng.normal(size=24) - 0.1)
    found = verdict(paired_by(judge=(base, base + 2), alignment=noisy, diversity=(base, base)))
    assert [test.finding for test in found.tests] == ["B", "open", "kept"]
    assert found.outcome == "no evidence"
    assert found.more is not None
    assert found.more > 0
    assert "alignment" in found.sentence
    assert f"{found.more} more seeds" in found.sentence


@pytest.mark.usefixtures("quick")
def test_a_loss_that_is_not_shown_is_open_however_large_it_looks() -> None:
    """A mean beyond the margin with an interval over zero: nothing is lost yet, and nothing is kept."""
    rng = np.random.default_rng(20)
    base, scattered = rng.normal(size=8), np.array([-9.0, 6, -7, 5, -8, 4, -9, 5])
    found = verdict(paired_by(judge=(base, base + 2), alignment=(base, base + scattered), diversity=(base, base)))
    loss = found.guards[0]
    assert loss.margin is not None
    assert loss.gain < -loss.margin
    assert loss.finding == "open"
    assert found.outcome == "no evidence"


def test_more_seeds_are_about_as_many_as_are_needed() -> None:
    """With the number that a verdict asks for, the difference that it saw is found in about four of five cases."""
    rng = np.random.default_rng(14)
    base = rng.normal(size=12)
    found = verdict(
        paired_by(judge=(base, base + rng.normal(0.45, 1, size=12)), alignment=(base, base), diversity=(base, base))
    )
    assert found.outcome == "no evidence"
    assert found.more is not None
    n, effect = 12 + found.more, found.tests[0].gain / found.tests[0].sd
    power = np.mean(
        [
            verdict(
                paired_by(judge=(np.zeros(n), rng.normal(effect, 1, size=n))), alignment=None, diversity=None
            ).outcome
            == "better"
            for _ in range(60)
        ]
    )
    assert 0.62 <= power <= 0.95


def test_identical_values_are_no_evidence_and_no_number_would_settle_it() -> None:
    same = (np.ones(8), np.ones(8))
    found = verdict(paired_by(judge=same, alignment=same, diversity=same))
    assert found.outcome == "no evidence"
    assert found.more is None
    assert found.tests[0].p == 1


def test_where_the_loser_never_varies_nothing_may_be_lost() -> None:
    rising = (np.zeros(10), np.arange(10) + 1.0)
    kept = verdict(paired_by(judge=rising, alignment=(np.ones(10), np.ones(10)), diversity=(np.ones(10), np.ones(10))))
    lost = verdict(
        paired_by(judge=rising, alignment=(np.ones(10), np.full(10, 0.9)), diversity=(np.ones(10), np.ones(10)))
    )
    assert kept.outcome == "better"
    assert lost.outcome == "traded off"


def test_lower_is_better_turns_the_gain() -> None:
    base = np.arange(10.0)
    paired = paired_by(judge=(base, base + 1), alignment=(base, base), diversity=(base, base))
    lower = paired.values["judge"].scorer.model_copy(update={"better": "lower"})
    values = {**paired.values, "judge": paired.values["judge"].model_copy(update={"scorer": lower})}
    assert verdict(paired).outcome == "better"
    assert verdict(paired.model_copy(update={"values": values})).outcome == "worse"


def test_caps_and_missing_guards_make_it_indicative() -> None:
    paired = drawn(np.random.default_rng(15), 24, judge=2.0)
    capped = verdict(paired, caps=["the judge is a small one"])
    unguarded = verdict(paired, diversity=None)
    assert capped.strength == unguarded.strength == "indicative"
    assert "Indicative only: the judge is a small one" in capped.sentence
    assert "diversity over seeds was not measured" in unguarded.caps[0]
    assert verdict(paired).strength == "confirmed"


def test_units_without_a_value_cap_it() -> None:
    paired = drawn(np.random.default_rng(16), 24, judge=2.0).model_copy(update={"planned": 26})
    found = verdict(paired)
    assert found.strength == "indicative"
    assert found.n == 24
    assert "2 of 26 seeds gave no value" in found.caps


def test_a_verdict_survives_json() -> None:
    found = verdict(drawn(np.random.default_rng(17), 24, judge=1.0))
    again = Verdict.model_validate(json.loads(found.model_dump_json()))
    assert again == found
    assert found.tests[0].scorer.revision == "1"
    assert len(found.seeds) == 24


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"judges": []}, "a judge"),
        ({"judges": ["judge", "judge"]}, "twice"),
        ({"judges": ["nobody"]}, "nobody"),
        ({"alignment": "nobody"}, "nobody"),
        ({"margin": 0.0}, "margin"),
        ({"margin": float("nan")}, "margin"),
        ({"looks": Looks(pairs=(8, 16), shares=(0.5, 0.5))}, "8 and 16"),
        ({"judges": ["judge", "alignment", "diversity"], "alpha": 1e-5}, "need at least 20"),
    ],
)
def test_what_cannot_be_judged_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        verdict(drawn(np.random.default_rng(18), 12), **options)
    assert words in f"{caught.value} {caught.value.hint}"


def test_fewest_seeds() -> None:
    require_pairs(7, 1, 0.05)
    with pytest.raises(InvalidRequest, match="need at least 7"):
        require_pairs(6, 1, 0.05)
    with pytest.raises(InvalidRequest, match=r"4 tests at 0\.05 need at least 8"):
        require_pairs(7, 4, 0.05)
    with pytest.raises(ValueError, match="looks"):
        Looks(pairs=(12, 24), shares=(0.6, 0.6))


def test_diversity_may_have_a_margin_of_its_own() -> None:
    paired = drawn(np.random.default_rng(19), 24, judge=1.5, diversity=-1.2)
    assert verdict(paired).outcome == "traded off"
    wide = verdict(paired, diversity_margin=2.5)
    assert wide.outcome == "better"
    assert (wide.margin, wide.diversity_margin) == (0.5, 2.5)
    assert verdict(paired, margin=2.5, diversity_margin=0.5).outcome == "traded off"


def test_a_difference_too_small_to_be_worth_having_is_no_verdict() -> None:
    rng = np.random.default_rng(4)
    a = rng.normal(size=40)
    b = a + 0.05 + rng.normal(size=40) * 0.02  # sure to be there, and a twentieth of a standard deviation
    same = paired_by(judge=(a, b), alignment=(a, b), diversity=(a, a))
    small = judge(same, judges=["judge"], alignment="alignment", diversity="diversity")
    assert small.outcome == "no evidence"
    assert small.judges[0].finding == "slight"
    assert small.more is None
    assert small.sentence.startswith("No difference worth having")
    assert "(0.2 SD)" in small.sentence
    any_ = judge(same, judges=["judge"], alignment="alignment", diversity="diversity", worthwhile=0)
    assert any_.outcome == "better"
    assert any_.judges[0].needed is None


def test_a_verdict_says_how_many_units_the_smallest_effect_worth_having_takes() -> None:
    values = drawn(np.random.default_rng(1), n=24)
    found = judge(values, judges=["judge"], alignment=None, diversity=None, worthwhile=0.3)
    assert found.outcome == "no evidence"
    test = found.judges[0]
    spreads = [np.var(side, ddof=1) for side in (values.values["judge"].a, values.values["judge"].b)]
    assert test.worthwhile == pytest.approx(0.3 * np.sqrt(np.mean(spreads)))
    assert test.worthwhile is not None
    assert test.needed == pairs_needed(test.worthwhile / test.sd)
    assert str(test.needed) in found.sentence


@pytest.mark.parametrize("nonsense", [-0.1, 11, float("nan")])
def test_what_is_worth_having_is_a_number_of_standard_deviations(nonsense: float) -> None:
    values = drawn(np.random.default_rng(5), n=24)
    with pytest.raises(InvalidRequest, match="worthwhile"):
        judge(values, judges=["judge"], alignment=None, diversity=None, worthwhile=nonsense)


def test_power_is_told_before_the_first_picture() -> None:
    assert foreseen(24, "seed", 0.2, 0.05) == (
        "24 seeds find a difference of 0.84 SD in four of five cases, at worst; one of 0.2 SD, the smallest worth "
        "having, would take 395"
    )
    assert "worth having" not in foreseen(500, "prompt", 0.2, 0.05)
    assert "too few" in foreseen(3, "seed", 0.2, 0.05)
