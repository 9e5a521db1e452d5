"""Laws of the statistics: exactness against enumeration, coverage, error rates, and the figures of the protocol."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.evaluate import statistics
from limner.evaluate.statistics import (
    Interval,
    cluster_bootstrap,
    detectable_effect,
    holm,
    least_pairs,
    mean_ranks,
    not_worse_p,
    pairs_needed,
    sign_flip_interval,
    sign_flip_p,
    spearman,
)

numbers = st.integers(-1000, 1000).map(lambda i: i / 8)  # exact in binary, so that ties are ties


def enumerated(d: list[float], side: str) -> float:
    """The test by its definition: every pattern of signs."""
    sums = [sum(s * x for s, x in zip(signs, d, strict=True)) for signs in itertools.product((1, -1), repeat=len(d))]
    seen = sum(d)
    if side == "greater":
        return sum(s >= seen for s in sums) / len(sums)
    if side == "less":
        return sum(s <= seen for s in sums) / len(sums)
    return sum(abs(s) >= abs(seen) for s in sums) / len(sums)


@given(st.lists(numbers, min_size=1, max_size=9), st.sampled_from(["two-sided", "greater", "less"]))
def test_p_is_the_share_of_all_sign_patterns(d: list[float], side: str) -> None:
    wanted = enumerated(d, side)
    # With sum zero both sides count the pattern seen; the definition by |sum| then gives 1, as here.
    assert sign_flip_p(d, side) == pytest.approx(wanted, abs=1e-12)  # type: ignore[arg-type]


@given(st.lists(numbers, min_size=1, max_size=30))
def test_p_knows_no_order_no_scale_and_mirrors(d: list[float]) -> None:
    p = sign_flip_p(d)
    assert 0 < p <= 1
    assert sign_flip_p(sorted(d)) == pytest.approx(p)
    assert sign_flip_p([4 * x for x in d]) == pytest.approx(p)
    assert sign_flip_p([-x for x in d]) == pytest.approx(p)
    assert sign_flip_p(d, "greater") == pytest.approx(sign_flip_p([-x for x in d], "less"))


def test_the_smallest_p_and_the_fewest_pairs() -> None:
    for n in range(1, 12):
        assert sign_flip_p([1.0 + i for i in range(n)]) == pytest.approx(2 / 2**n)
    assert [least_pairs(), least_pairs(0.05, 2), least_pairs(0.05, 4), least_pairs(0.01)] == [6, 7, 8, 8]
    for m in (1, 2, 4, 6):
        n = least_pairs(0.05, m)
        assert 2 / 2**n <= 0.05 / m < 2 / 2 ** (n - 1)


def test_drawn_patterns_agree_with_all_patterns() -> None:
    d = np.random.default_rng(1).normal(0.25, 1, 40)
    exact = sign_flip_p(d)
    drawn = sign_flip_p(np.append(d, [0.0]), rng=np.random.default_rng(2))  # one more pair, which changes nothing
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 100_000) * 2 + 2e-5)


@settings(max_examples=60)
@given(st.lists(numbers, min_size=6, max_size=16), numbers)
def test_the_interval_is_what_the_test_does_not_reject(d: list[float], shift: float) -> None:
    low, high = sign_flip_interval(d)
    scale = max(map(abs, d), default=0) + 1
    assert low <= np.mean(d) + 1e-9 * scale
    assert high >= np.mean(d) - 1e-9 * scale
    inside = low + 1e-6 * scale < shift < high - 1e-6 * scale
    outside = shift < low - 1e-6 * scale or shift > high + 1e-6 * scale
    rejected = sign_flip_p([x - shift for x in d]) <= 0.05
    assert not (inside and rejected)
    assert not (outside and not rejected)


def test_drawn_patterns_bound_as_all_patterns_do(monkeypatch: pytest.MonkeyPatch) -> None:
    d = np.random.default_rng(4).normal(0.4, 1, 20)
    exact = sign_flip_interval(d)
    monkeypatch.setattr(statistics, "EXACT_INTERVAL", 0)
    assert sign_flip_interval(d) == pytest.approx(exact, abs=0.02)


def test_five_pairs_bound_nothing() -> None:
    assert sign_flip_interval([1.0, 2, 3, 4, 5]) == Interval(-math.inf, math.inf)


@pytest.mark.parametrize("n", [8, 24])
def test_the_interval_covers_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(n)
    held = sum(
        low <= 0.7 <= high
        for low, high in (sign_flip_interval(rng.normal(0.7, 1, n)) for _ in range(400 if n == 8 else 150))
    )
    share, runs = held / (400 if n == 8 else 150), 400 if n == 8 else 150
    assert 0.95 - 3.5 * math.sqrt(0.0475 / runs) <= share, share


def test_no_effect_is_called_one_in_twenty() -> None:
    rng = np.random.default_rng(5)
    false = sum(sign_flip_p(rng.normal(0, 1, 16)) <= 0.05 for _ in range(2000)) / 2000
    assert 0.035 <= false <= 0.05 + 3 * math.sqrt(0.0475 / 2000)


def test_power_is_what_is_promised() -> None:
    """The protocol's own figures, and the test's real power at them."""
    assert (pairs_needed(0.5), pairs_needed(0.8), pairs_needed(0.0)) == (34, 15, None)
    assert detectable_effect(34) == pytest.approx(0.5, abs=0.01)
    assert detectable_effect(5) == math.inf
    rng = np.random.default_rng(7)
    for n in (15, 24, 34):
        effect = detectable_effect(n)
        found = sum(sign_flip_p(rng.normal(effect, 1, n)) <= 0.05 for _ in range(400)) / 400
        assert 0.73 <= found <= 0.88, (n, found)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8))
def test_holm_by_its_definition(ps: list[float]) -> None:
    adjusted = holm(ps)
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
            if ps[i] * (len(ps) - rank) > alpha:
                break
            rejected.add(i)
        assert {i for i, p in enumerate(adjusted) if p <= alpha} == rejected
    assert all(a >= p for a, p in zip(adjusted, ps, strict=True))


def test_not_worse_needs_evidence_and_a_margin() -> None:
    rng = np.random.default_rng(3)
    assert not_worse_p(rng.normal(0, 1, 40), 1.0) < 0.01
    assert not_worse_p(rng.normal(-1.0, 1, 40), 0.5) > 0.5
    with pytest.raises(ValueError, match="margin"):
        not_worse_p([1.0, 2.0], 0.0)


def test_clusters_are_what_varies() -> None:
    """Many seeds of few prompts say little of prompts: the interval is that of the prompts' means."""
    rng = np.random.default_rng(11)
    prompts = {str(i): rng.normal(mean, 0.1, 50) for i, mean in enumerate(rng.normal(0, 1, 20))}
    low, high = cluster_bootstrap({k: list(v) for k, v in prompts.items()}, rng=rng)
    spread = np.std([v.mean() for v in prompts.values()]) / math.sqrt(20)
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.15)
    with pytest.raises(ValueError, match="without values"):
        cluster_bootstrap([[1.0], []])


def test_bootstrap_covers_with_twenty_prompts() -> None:
    rng = np.random.default_rng(12)
    held = 0
    for _ in range(200):
        groups = [list(rng.normal(mean, 1, 4)) for mean in rng.normal(0.3, 1, 20)]
        low, high = cluster_bootstrap(groups, draws=800, rng=rng)
        held += low <= 0.3 <= high
    assert held / 200 >= 0.90


@given(st.lists(numbers, min_size=3, max_size=12, unique=True))
def test_rank_correlation(values: list[float]) -> None:
    assert spearman(values, [x**3 for x in values]) == pytest.approx(1)
    assert spearman(values, [-x for x in values]) == pytest.approx(-1)
    assert math.isnan(spearman(values, [1.0] * len(values)))


def test_mean_ranks_take_each_scorer_alike() -> None:
    assert mean_ranks([[1, 2, 3], [300, 200, 100]]).tolist() == [1, 1, 1]
    assert mean_ranks([[1, 1, 5]]).tolist() == [0.5, 0.5, 2]


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf, 1.0]])
def test_no_answer_from_nothing(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no pairs|NaN"):
        sign_flip_p(bad)
