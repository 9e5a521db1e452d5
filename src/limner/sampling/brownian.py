"""The noise of k-diffusion's SDE samplers: increments of one Brownian path, the same wherever the steps are.

The path runs over sigma/alpha, from a model's least to its largest. It is halved again and again; the middle of each
half is drawn from what its ends leave open (Levy's construction) with random numbers seeded by the place in the tree.
So a picture's noise between two levels depends on the seed and these levels alone. Seeds are spread as torchsde's
``BrownianTree`` does (Li et al. 2020, arXiv 2001.01328), whose numbers these are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from limner.sampling.noise import Noise, Source

_DIGITS = 6  # where levels are told apart, in decimals of sigma/alpha
_POOL = 24
_KEPT = 8  # halvings whose middles are remembered; deeper ones are drawn again


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of the path: its ends, what it gains from one to the other, its place in the tree."""

    start: float
    end: float
    gain: Tensor
    key: int = 0
    depth: int = 0


class Brownian:
    """One image's path between the sigmas ``low`` and ``high``; ``shape`` and ``source`` as of ``Noise``."""

    def __init__(self, seed: int, shape: Sequence[int], low: float, high: float, source: Source = "cpu") -> None:
        self._seed, self._shape, self._source = seed, tuple(shape), source
        first = np.random.SeedSequence(entropy=seed, pool_size=_POOL).generate_state(3)[0]
        gain = self._randn(int(first)) * math.sqrt(high - low)
        self._whole = _Piece(round(low, _DIGITS), round(high, _DIGITS), gain)
        self._middles: dict[tuple[int, int], Tensor] = {}

    def noise(self, sigma: float, after: float) -> Tensor:
        """Standard normal noise for the step from ``sigma`` down to ``after``, both within the path."""
        low, high = (min(max(round(t, _DIGITS), self._whole.start), self._whole.end) for t in (after, sigma))
        return -self._gain(self._whole, low, high) / math.sqrt(sigma - after)

    def _gain(self, piece: _Piece, low: float, high: float) -> Tensor:
        if low == high:
            return torch.zeros(self._shape)
        if (low, high) == (piece.start, piece.end):
            return piece.gain
        middle = round(0.5 * (piece.start + piece.end), _DIGITS)
        left = self._left(piece, middle)
        before = _Piece(piece.start, middle, left, 2 * piece.key, piece.depth + 1)
        behind = _Piece(middle, piece.end, piece.gain - left, 2 * piece.key + 1, piece.depth + 1)
        if high <= middle:
            return self._gain(before, low, high)
        if low >= middle:
            return self._gain(behind, low, high)
        return self._gain(before, low, middle) + self._gain(behind, middle, high)

    def _left(self, piece: _Piece, middle: float) -> Tensor:
        """What the path gains up to the middle of a piece: its share, and what is open."""
        found = self._middles.get((piece.key, piece.depth))
        if found is None:
            whole, left, right = piece.end - piece.start, middle - piece.start, piece.end - middle
            spread = np.random.SeedSequence(self._seed, spawn_key=(piece.key, piece.depth), pool_size=_POOL)
            fresh = self._randn(int(spread.generate_state(4)[0]))
            found = left / whole * piece.gain + math.sqrt(left * right / whole) * fresh
            if piece.depth < _KEPT:
                self._middles[piece.key, piece.depth] = found
        return found

    def _randn(self, seed: int) -> Tensor:
        return Noise(seed, self._shape, source=self._source).first()
