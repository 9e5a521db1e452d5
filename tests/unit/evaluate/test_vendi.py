"""The Vendi Score's published example and its laws; the diversity of a seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import InvalidRequest
from limner.evaluate.pixel_embedding import PixelEmbedding
from limner.evaluate.vendi import Vendi, diversity, mean_distances, vendi, vendi_of
from tests.unit.evaluate.test_model_free import CACHE, scene


def vectors(seed: int, n: int, d: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_the_example_of_its_authors() -> None:
    assert vendi_of([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]]) == pytest.approx(2.1573, abs=5e-5)


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
@settings(max_examples=40, deadline=None)
def test_between_one_and_the_number_of_pictures(seed: int, n: int) -> None:
    found = vectors(seed, n)
    value = vendi(found)
    assert 1 - 1e-9 <= value <= n + 1e-9
    assert vendi(found[::-1]) == pytest.approx(value)
    assert vendi(3.5 * found) == pytest.approx(value)
    assert vendi(np.concatenate([found, found])) == pytest.approx(value)


def test_copies_count_as_one_and_strangers_each() -> None:
    assert vendi([[1.0, 2.0]] * 5) == pytest.approx(1)
    assert vendi(np.eye(6)) == pytest.approx(6)


@pytest.mark.parametrize("wrong", [[[1.0, 0.5]], [[1.0, 0.2], [0.9, 1.0]], [[1.0, np.nan], [np.nan, 1.0]]])
def test_no_similarities(wrong: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="symmetric"):
        vendi_of(wrong)
    with pytest.raises(ValueError, match="zero"):
        vendi([[0.0, 0.0], [1.0, 0.0]])


@given(st.integers(0, 2**32 - 1), st.integers(2, 10))
@settings(max_examples=40, deadline=None)
def test_the_distance_to_the_others_is_the_mean_over_pairs(seed: int, n: int) -> None:
    found = vectors(seed, n).astype(np.float64)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    expected = [np.mean([1 - unit[i] @ unit[j] for j in range(n) if j != i]) for i in range(n)]
    assert mean_distances(found) == pytest.approx(expected, abs=1e-12)


def test_diversity_of_pictures() -> None:
    own = PixelEmbedding()
    images = [scene(0), scene(0), scene(1)]
    found = diversity(images, lambda pictures: own.embed(pictures, CACHE))
    assert found[2] > found[0] == pytest.approx(found[1])
    assert diversity([scene(0)] * 3, lambda pictures: own.embed(pictures, CACHE)) == pytest.approx([0, 0, 0], abs=1e-7)
    with pytest.raises(InvalidRequest):
        diversity(images[:1], lambda pictures: own.embed(pictures, CACHE))


def test_vendi_of_pictures() -> None:
    metric = Vendi()
    same, other = [scene(0)] * 4, [scene(k) for k in range(4)]
    assert metric.measure(same, [], CACHE).value == pytest.approx(1, abs=1e-6)
    assert metric.measure(other, [], CACHE).value > 1.05
    with pytest.raises(InvalidRequest):
        metric.measure(same[:1], [], CACHE)
    with pytest.raises(InvalidRequest):
        metric.measure(same, other, CACHE)
