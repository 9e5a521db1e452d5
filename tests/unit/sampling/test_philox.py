"""Philox against the published known answers, and its normal numbers against an independent calculation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.sampling.philox import Philox, philox

ONES = 0xFFFFFFFF

# Random123 (Salmon et al. 2011), kat_vectors: "philox4x32 10", counter, key, answer.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]

# What torch.randn(3, 4, device="cuda") gives for seed 0, as A1111 publishes it with its own implementation.
CUDA_SEED_0 = [
    [-0.92466259, -0.42534415, -2.6438457, 0.14518388],
    [-0.12086647, -0.57972564, -0.62285122, -0.32838709],
    [-1.07454231, -0.36314407, -1.67105067, 2.26550497],
]


def reference(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    """Philox in Python's own integers, as the paper's figure has it."""
    a, b, c, d = counter
    k0, k1 = key
    for _ in range(10):
        first, second = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (second >> 32) ^ b ^ k0, second & ONES, (first >> 32) ^ d ^ k1, first & ONES
        k0, k1 = (k0 + 0x9E3779B9) & ONES, (k1 + 0xBB67AE85) & ONES
    return a, b, c, d


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter: tuple[int, ...], key: tuple[int, int], answer: tuple[int, ...]) -> None:
    found = philox(np.array(counter, "u4")[:, None], np.array(key, "u4"))
    assert tuple(int(word) for word in found[:, 0]) == answer
    assert reference(counter, key) == answer


words = st.integers(0, ONES)


@given(st.lists(st.tuples(words, words, words, words), min_size=1, max_size=5), st.tuples(words, words))
def test_many_counters_at_once(counters: list[tuple[int, ...]], key: tuple[int, int]) -> None:
    found = philox(np.array(counters, "u4").T, np.array(key, "u4"))
    assert [tuple(int(word) for word in column) for column in found.T] == [reference(each, key) for each in counters]


def test_the_documented_gpu_numbers() -> None:
    np.testing.assert_allclose(Philox(0).randn((3, 4)), CUDA_SEED_0, rtol=0, atol=5e-7)


@given(st.integers(0, 2**64 - 1), st.integers(0, 3), st.integers(0, 30))
def test_each_number_is_its_counters(seed: int, draw: int, element: int) -> None:
    """Element i of draw k: the counter is (k, 0, i, 0); Box and Muller on the first two words."""
    generator = Philox(seed)
    for _ in range(draw):
        generator.randn((5,))
    x, y, _, _ = reference((draw, 0, element, 0), (seed & ONES, seed >> 32))
    u, angle = (x + 0.5) / 2**32, (y + 0.5) / 2**32 * 6.2831855
    assert generator.randn((31,))[element] == pytest.approx(math.sqrt(-2 * math.log(u)) * math.sin(angle), abs=3e-6)


def test_numbers_are_standard_normal_and_float32() -> None:
    drawn = Philox(7).randn((4, 128, 128))
    assert drawn.dtype == np.float32
    assert abs(drawn.mean()) < 0.02
    assert abs(drawn.std() - 1) < 0.02
    assert np.isfinite(drawn).all()


def test_the_first_elements_do_not_depend_on_how_many_are_drawn() -> None:
    np.testing.assert_array_equal(Philox(3).randn((100,))[:10], Philox(3).randn((10,)))
