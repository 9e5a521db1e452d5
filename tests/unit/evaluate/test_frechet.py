"""FID's formula on Gaussians whose distance is known, KID and CMMD against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import InvalidRequest
from limner.evaluate.frechet import Fid, frechet_distance, gaussian_distance
from limner.evaluate.kernel_distance import cmmd, kid
from limner.evaluate.kernel_kid import Kid
from limner.evaluate.pixel_embedding import PixelEmbedding
from tests.unit.evaluate.test_model_free import CACHE, scene


def rows(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def test_gaussians_along_the_axes() -> None:
    """For covariances that commute the distance is that of the means and of the standard deviations."""
    a, b = np.array([1.0, 4.0, 0.0]), np.array([9.0, 1.0, 0.0])
    expected = (3.0**2 + 1.0) + ((1 - 3) ** 2 + (2 - 1) ** 2)
    assert gaussian_distance([3, 0, 0], np.diag(a), [0, 1, 0], np.diag(b)) == pytest.approx(expected)


def test_gaussians_that_do_not_commute() -> None:
    """tr (A B)^(1/2) from the eigenvalues of A B, which are positive for 2x2 matrices such as these."""
    a, b = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[1.5, -0.8], [-0.8, 3.0]])
    shared = np.sqrt(np.linalg.eigvals(a @ b).real).sum()
    expected = np.trace(a) + np.trace(b) - 2 * shared
    assert gaussian_distance([0, 0], a, [0, 0], b) == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(2, 30))
@settings(max_examples=40, deadline=None)
def test_features_and_their_gaussians_agree_whatever_the_rank(seed: int, n: int, m: int) -> None:
    x, y = rows(seed, n, 8), rows(seed + 1, m, 8) * 2 + 0.5
    by_moments = gaussian_distance(x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T))
    found = frechet_distance(x, y)
    assert found == pytest.approx(by_moments, rel=1e-6)
    assert found == pytest.approx(frechet_distance(y, x))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + 2.0) == pytest.approx(8 * 4.0)
    turn = np.linalg.qr(rows(seed + 2, 8, 8))[0]
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(found)


def test_a_matrix_that_is_no_covariance() -> None:
    with pytest.raises(ValueError, match="eigenvalues"):
        gaussian_distance([0, 0], [[1, 2], [2, 1]], [0, 0], np.eye(2))


@pytest.mark.parametrize("distance", [frechet_distance, kid, cmmd])
def test_what_has_no_distance(distance: object) -> None:
    assert callable(distance)
    for a, b in [
        (rows(0, 1, 3), rows(1, 5, 3)),
        (rows(0, 4, 3), rows(1, 4, 2)),
        (np.full((4, 3), np.nan), rows(1, 4, 3)),
    ]:
        with pytest.raises(ValueError, match=r"rows|NaN|SVD|eigenvalues"):
            distance(a, b)


def test_kid_is_its_definition() -> None:
    x, y = rows(0, 6, 4), rows(1, 6, 4) + 0.3

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 4 + 1) ** 3)

    within = [np.mean([k(s[i], s[j]) for i in range(6) for j in range(6) if i != j]) for s in (x, y)]
    across = np.mean([k(a, b) for a in x for b in y])
    assert kid(x, y) == pytest.approx(sum(within) - 2 * across)


def test_kid_of_the_same_source_is_zero_on_average_and_subsets_repeat() -> None:
    values = [kid(rows(2 * s, 40, 5), rows(2 * s + 1, 40, 5)) for s in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
    x, y = rows(0, 60, 5), rows(1, 50, 5) + 1
    assert kid(x, y, subset=20, subsets=50) == kid(x, y, subset=20, subsets=50)
    assert kid(x, y, subset=20, subsets=200) == pytest.approx(kid(x, y), rel=0.2)


def test_cmmd_is_its_definition() -> None:
    x, y = (s / np.linalg.norm(s, axis=1, keepdims=True) for s in (rows(0, 5, 6), rows(1, 7, 6)))

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-np.square(a - b).sum() / 200))

    means = [np.mean([k(a, b) for a in s for b in t]) for s, t in ((x, x), (y, y), (x, y))]
    assert cmmd(x, y) == pytest.approx(1000 * (means[0] + means[1] - 2 * means[2]), rel=1e-6)
    assert cmmd(x, x) == pytest.approx(0, abs=1e-9)


def test_cmmd_by_blocks_is_the_same() -> None:
    x, y = (s / np.linalg.norm(s, axis=1, keepdims=True) for s in (rows(0, 1500, 4), rows(1, 3, 4)))
    parts = np.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / 200).mean()
    own = [np.exp(-((s[:, None] - s[None]) ** 2).sum(-1) / 200).mean() for s in (x, y)]
    assert cmmd(x, y) == pytest.approx(1000 * (sum(own) - 2 * parts), rel=1e-6)


@pytest.mark.parametrize("kind", [Fid, Kid])
def test_sets_of_pictures_by_any_embedding(kind: type[Fid] | type[Kid]) -> None:
    metric = kind(embedder=PixelEmbedding())
    one, same, other = ([scene(k) for k in range(a, a + 6)] for a in (0, 0, 6))
    inverted = [255 - picture for picture in other]
    far, near = (metric.measure(one, each, CACHE) for each in (inverted, other))
    assert far.value > near.value > metric.measure(one, same, CACHE).value
    assert far.revision == "1-pixels32"
    assert "6 pictures only" in far.flags[0]
    with pytest.raises(InvalidRequest):
        metric.measure(one[:1], other, CACHE)
