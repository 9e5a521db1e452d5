"""The guard of diversity: a rewrite of equal diversity is lost no more often than the nominal rate says, and one that
always gives the same picture is caught."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from limner.config import Settings
from limner.errors import InvalidRequest
from limner.evaluate.vendi import mean_distances
from limner.refine.compare_scoring import default_scorers
from limner.refine.diversity import AUTO, PIXELS, is_measure, measure_of, named, pseudo_values, scorer, shares, vectors
from limner.refine.verdict import judge
from limner.session import Session
from tests.unit.refine.painting import Painter
from tests.unit.refine.paired import paired_by

RUNS, N = 400, 12
CLIP = "pocket-clip-spread"
Floats = NDArray[np.float64]


def arm(rng: np.random.Generator, shared: Floats, modes: int = 4, spread: float = 0.08) -> Floats:
    """Vectors [n, 16] of an arm's pictures: so many kinds of picture, and scatter, part of which the seed decides."""
    n, d = shared.shape
    centres = np.eye(d)[1 : 1 + modes] * 0.4
    scatter = np.sqrt(0.3) * shared + np.sqrt(0.7) * rng.normal(size=(n, d))
    vectors: Floats = np.eye(d)[0] + centres[rng.integers(modes, size=n)] + spread * scatter
    return vectors


def lost(b: dict[str, float], *, plain: bool = False, runs: int = RUNS) -> float:
    """The share of verdicts that find diversity lost, where the judge is pleased with B."""
    rng, found = np.random.default_rng(3), 0
    better = (np.zeros(N), np.ones(N) + np.arange(N) / 100)
    for _ in range(runs):
        shared = rng.normal(size=(N, 16))
        both = [mean_distances(arm(rng, shared)), mean_distances(arm(rng, shared, **b))]  # type: ignore[arg-type]
        sides = both if plain else [pseudo_values(each) for each in both]
        pair = paired_by(judge=better, words=better, spread=(sides[0], sides[1]))
        verdict = judge(pair, judges=["judge"], alignment="words", diversity="spread")
        found += verdict.guards[1].finding == "lost"
    return found / runs


def test_a_rewrite_of_equal_diversity_is_lost_no_more_often_than_chance_allows() -> None:
    assert lost({}) <= 0.025 + 2 * np.sqrt(0.025 * 0.975 / RUNS)


def test_plain_mean_distances_would_lose_one_in_eight() -> None:
    """Why shares and not distances: each picture is in the mean of all others, too."""
    assert lost({}, plain=True) >= 0.08


@pytest.mark.parametrize("collapse", [{"modes": 1, "spread": 0.08}, {"modes": 1, "spread": 0.005}])
def test_a_collapsed_rewrite_is_caught(collapse: dict[str, float]) -> None:
    assert lost(collapse, runs=60) >= 0.95


@given(st.integers(3, 12), st.integers(0, 2**31))
def test_shares_are_the_jackknife_of_the_mean_over_pairs(n: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, 5))
    whole = mean_distances(list(rows)).mean()
    without = [mean_distances(list(np.delete(rows, k, axis=0))).mean() for k in range(n)]
    expected = [n * whole - (n - 1) * each for each in without]
    assert shares(CLIP, rows) == pytest.approx(expected, abs=1e-9)
    assert np.mean(shares(CLIP, rows)) == pytest.approx(whole, abs=1e-12)


def test_few_pictures() -> None:
    assert shares(PIXELS, []) == []
    assert shares(PIXELS, [np.ones(3)]) == [0.0]
    assert shares(PIXELS, [np.zeros(3), np.ones(3)]) == [1.0, 1.0]


@given(st.integers(0, 2**31), st.floats(0, 0.3))
def test_pixels_do_not_take_brighter_for_more_alike(seed: int, brighter: float) -> None:
    rows = np.random.default_rng(seed).uniform(0, 0.7, (6, 12))
    assert shares(PIXELS, rows + brighter) == pytest.approx(shares(PIXELS, rows), abs=1e-9)


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(settings=Settings.load(), backend=Painter(), scored=False) as own:
        yield own


def test_a_scorer_that_can_compare_pictures_is_taken_and_named(session: Session) -> None:
    assert measure_of(session, ["pocket-judge", "pocket-clip"]) == CLIP
    assert measure_of(session, ["pocket-judge", "blank"]) == PIXELS
    assert default_scorers(session, "emoji scenes", "cpu").diversity == CLIP
    assert is_measure(CLIP)
    assert "pocket-clip" in scorer(CLIP).scale
    assert scorer(CLIP).domain == "emoji scenes"
    assert "blind to meaning" in scorer(PIXELS).scale
    assert named(session, AUTO, ["pocket-clip"]) == CLIP
    with pytest.raises(InvalidRequest, match="no measure"):
        named(session, "pocket-judge-spread", [])


def test_a_towers_vectors_are_computed_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    images = session.generate(session.request("a fox", n=3)).result()
    first = vectors(session, CLIP, images)
    tower = session.scoring.metric("pocket-clip")
    monkeypatch.setattr(type(tower), "_net", None)  # whoever looks again has no network
    again = vectors(session, CLIP, images)
    assert [each.tolist() for each in again] == [each.tolist() for each in first]
    assert len(first) == 3
