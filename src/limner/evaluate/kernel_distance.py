"""Distances of two sets by a kernel, the maximum mean discrepancy (Gretton et al. 2012): what KID and CMMD stand on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCK = 1024  # rows at a time, so that 30,000 pictures need no matrix of their pairs


def kid(a: ArrayLike, b: ArrayLike, subset: int = 1000, subsets: int = 100, seed: int = 0) -> float:
    """Kernel Inception Distance of features [n, D] and [m, D]: the mean over ``subsets`` random subsets of the unbiased
    squared discrepancy under the kernel (x.y / D + 1)^3 (Binkowski et al. 2018, arXiv:1801.01401).

    May be a little below zero. Subsets are of ``subset`` pictures, or of all where there are fewer (then one suffices).
    Raises ``ValueError`` as ``frechet_distance``.
    """
    x, y = _features(a, b)
    size = min(subset, len(x), len(y))
    rng = np.random.default_rng(seed)
    whole = size == len(x) == len(y)
    values = [
        _unbiased(x, y)
        if whole
        else _unbiased(x[rng.choice(len(x), size, replace=False)], y[rng.choice(len(y), size, replace=False)])
        for _ in range(1 if whole else subsets)
    ]
    return float(np.mean(values))


def _unbiased(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    n, m = len(x), len(y)
    within = (_cubic(x, x, diagonal=False)) / (n * (n - 1)) + (_cubic(y, y, diagonal=False)) / (m * (m - 1))
    return within - 2 * _cubic(x, y) / (n * m)


def _cubic(x: NDArray[np.float64], y: NDArray[np.float64], *, diagonal: bool = True) -> float:
    """The sum of the kernel over all pairs; without ``diagonal`` over those of different rows of the one set."""
    kernel = (x @ y.T / x.shape[1] + 1) ** 3
    return float(kernel.sum() - (0.0 if diagonal else np.trace(kernel)))


def cmmd(a: ArrayLike, b: ArrayLike, sigma: float = 10.0, scale: float = 1000.0) -> float:
    """CLIP maximum mean discrepancy of unit vectors [n, D] and [m, D]: the biased squared discrepancy under the kernel
    exp(-|x - y|^2 / (2 sigma^2)), times 1,000 (Jayasumana et al. 2024, arXiv:2401.09603). At least 0.

    Raises ``ValueError`` as ``frechet_distance``.
    """
    x, y = _features(a, b)
    gamma = 1 / (2 * sigma * sigma)
    value = _gaussian(x, x, gamma) + _gaussian(y, y, gamma) - 2 * _gaussian(x, y, gamma)
    return max(0.0, scale * value)


def _gaussian(x: NDArray[np.float64], y: NDArray[np.float64], gamma: float) -> float:
    """The kernel's mean over all pairs, less one: of vectors so near each other, all but the difference is rounding."""
    norms = np.square(y).sum(axis=1)
    total = 0.0
    for first in range(0, len(x), _BLOCK):
        rows = x[first : first + _BLOCK]
        squared = np.square(rows).sum(axis=1)[:, None] + norms - 2 * rows @ y.T
        total += float(np.expm1(-gamma * np.maximum(squared, 0)).sum())
    return total / (len(x) * len(y))


def _features(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or min(len(x), len(y)) < 2 or x.shape[1] != y.shape[1]:
        raise ValueError("features are two or more rows on either side, equally long")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("NaN or infinity among the features")
    return x, y
