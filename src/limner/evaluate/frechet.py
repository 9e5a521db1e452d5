"""``fid``: the Frechet distance between two sets of pictures, each taken for a Gaussian in Inception's features.

Heusel et al. 2017, arXiv:1706.08500. It compares models over thousands of pictures and is biased upwards for fewer
(Chong & Forsyth 2020, arXiv:1911.07023); of one prompt's pictures it says nothing.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from limner.evaluate.inception_features import FOLDER, InceptionFeatures
from limner.evaluate.metric import MetricCard
from limner.evaluate.set_distance import Features, InceptionDistance


class Fid(InceptionDistance):
    """The Frechet Inception Distance to a reference set. ``embedder`` or ``folder``: other features or weights."""

    card: ClassVar[MetricCard] = MetricCard(
        name="fid",
        title="Frechet Inception Distance",
        revision=f"1-{InceptionFeatures.name}",
        takes="set",
        scale="squared distance of features, 0 to infinity",
        better="lower",
        source="Heusel et al. 2017, arXiv:1706.08500; weights pt_inception-2015-12-05 of pytorch-fid",
        backbone="Inception v3 (2015-12-05)",
        training_data=("ImageNet",),
        restrictions="model-level: thousands of pictures a side",
        asset=FOLDER,
        size_bytes=95_628_359,
        memory_bytes=250 * 2**20,
    )

    enough: ClassVar[int] = 2048  # pictures, below which the covariance is of lower rank than the features

    def distance(self, ours: Features, theirs: Features) -> float:
        return frechet_distance(ours, theirs)


def frechet_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Between the Gaussians with the means and covariances of features [n, D] and [m, D]; at least 0.

    Raises ``ValueError`` as ``gaussian_distance``.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or min(len(x), len(y)) < 2 or x.shape[1] != y.shape[1]:
        raise ValueError("features are two or more rows on either side, equally long")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("NaN or infinity among the features")
    gap = float(np.square(x.mean(axis=0) - y.mean(axis=0)).sum())
    centred_x, centred_y = _centred(x), _centred(y)
    spread = float(np.square(centred_x).sum() + np.square(centred_y).sum())
    return max(0.0, gap + spread - 2 * _shared(centred_x, centred_y))  # rounding may leave a little below


def gaussian_distance(mean_a: ArrayLike, cov_a: ArrayLike, mean_b: ArrayLike, cov_b: ArrayLike) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of means [D] and covariances [D, D]; at least 0.

    tr (C_a C_b)^(1/2) is the nuclear norm of C_a^(1/2) C_b^(1/2): singular values, which are real and not negative
    whatever the rank, where the square root of the product itself may come out complex.

    Raises ``ValueError`` for what is not finite, or a covariance that is not positive semidefinite.
    """
    gap = float(np.square(np.asarray(mean_a, np.float64) - np.asarray(mean_b, np.float64)).sum())
    a, b = np.asarray(cov_a, dtype=np.float64), np.asarray(cov_b, dtype=np.float64)
    shared = _shared(_root(a).T, _root(b).T)
    return max(0.0, gap + float(np.trace(a) + np.trace(b)) - 2 * shared)


def _centred(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """R [n, D] with R^T R the covariance."""
    rows: NDArray[np.float64] = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    return rows


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """L [D, D] with L L^T the covariance."""
    values, vectors = np.linalg.eigh(covariance)
    if not np.isfinite(values).all() or values.min() < -1e-6 * max(values.max(), 1e-12):
        raise ValueError("a covariance is a symmetric matrix whose eigenvalues are not negative")
    scaled: NDArray[np.float64] = vectors * np.sqrt(np.maximum(values, 0))
    return scaled


def _shared(r: NDArray[np.float64], s: NDArray[np.float64]) -> float:
    """tr (R^T R S^T S)^(1/2): the sum of the singular values of R S^T, [n, m]; of at most D columns each."""
    product = _narrowed(r) @ _narrowed(s).T
    return float(np.linalg.svd(product, compute_uv=False).sum())


def _narrowed(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most as many rows as columns, with the same R^T R."""
    if len(r) <= r.shape[1]:
        return r
    triangle: NDArray[np.float64] = np.linalg.qr(r, mode="reduced").R
    return triangle
