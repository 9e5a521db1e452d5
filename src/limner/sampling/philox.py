"""The random numbers of an NVIDIA GPU, computed anywhere: what ``torch.randn(..., device="cuda")`` draws for a seed.

Philox 4x32-10 is a counter-based generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): ten
rounds of multiply, exchange and xor turn a counter of four words and a key of two (the seed) into four random words.
CUDA gives element ``i`` of the ``k``-th draw the counter (k, 0, i, 0) and makes a normal number of the first two words
by Box and Muller's transform. That holds while every element has a thread of its own: up to about 43,000 elements on a
small GPU, 220,000 on a large one (a latent of 4 x 128 x 128 has 65,536).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (np.uint32(0x9E3779B9), np.uint32(0xBB67AE85))  # golden ratio and sqrt(3) - 1: what a round adds to the key
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)
_UNIT = 2.0**-32
_TURN = float(np.float32(2.0**-32 * 6.2831855))  # CUDA's two pi is the float32 one


def philox(counter: Words, key: Words) -> Words:
    """Philox 4x32-10: random words [4, N] of counters [4, N] and a key [2] or [2, N]."""
    with np.errstate(over="ignore"):
        a, b, c, d = (np.asarray(word, dtype=np.uint32) for word in counter)
        k0, k1 = (np.asarray(word, dtype=np.uint32) for word in key)
        for _ in range(_ROUNDS):
            first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
            a, b, c, d = _high(second) ^ b ^ k0, _low(second), _high(first) ^ d ^ k1, _low(first)
            k0, k1 = k0 + _WEYL[0], k1 + _WEYL[1]
    return np.stack([a, b, c, d])


def _high(product: NDArray[np.uint64]) -> Words:
    return (product >> _HIGH).astype(np.uint32)


def _low(product: NDArray[np.uint64]) -> Words:
    return (product & _LOW).astype(np.uint32)


class Philox:
    """One seed's draws, in order. ``seed`` is 0 to 2**64 - 1."""

    def __init__(self, seed: int) -> None:
        self._key = np.asarray([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32)
        self._draws = 0

    def randn(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """The next standard normal numbers of this shape, float32. Each call is one draw, whatever its size."""
        n = prod(shape)
        counter = np.zeros((4, n), dtype=np.uint32)
        counter[0] = self._draws
        counter[2] = np.arange(n, dtype=np.uint32)
        self._draws += 1
        words = philox(counter, self._key)
        return _normal(words[0], words[1]).reshape(tuple(shape))


def _normal(x: Words, y: Words) -> NDArray[np.float32]:
    """Box and Muller's first number of two, rounded to float32 once, at the end. (The GPU rounds after each operation
    and has a coarse sine: it differs from this in the sixth digit.)"""
    u = x * _UNIT + _UNIT / 2
    v = y * _TURN + _TURN / 2
    normal: NDArray[np.float32] = (np.sqrt(-2 * np.log(u)) * np.sin(v)).astype(np.float32)
    return normal
