"""``vendi``: how many different pictures a set amounts to, and the mean distance of each picture to the others.

The Vendi Score (Friedman & Dieng 2022, arXiv:2210.02410) is the exponential of the entropy of the similarity matrix's
eigenvalues: 1 for a set of copies, n for n pictures that have nothing in common.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from limner.errors import InvalidRequest
from limner.evaluate.metric import Embedding, Embeddings, MetricCard
from limner.evaluate.pixel_embedding import PixelEmbedding
from limner.types import Pixels, Score

if TYPE_CHECKING:
    from typing import TypeAlias

    Floats: TypeAlias = NDArray[np.float64]

Embed = Callable[[Sequence[Pixels]], Sequence[Embedding]]
"""Pictures to as many vectors [D]; lengths do not matter."""


class Embedder(Protocol):
    """What turns pictures into vectors, for the metrics of sets; each picture's is computed once a cache.

    ``name`` becomes part of the scores' revision: it changes whenever a vector could.
    """

    name: str

    def missing(self) -> str | None:
        """The command that fetches what it lacks; ``None`` where it can run."""
        ...

    def embed(self, images: Sequence[Pixels], cache: Embeddings) -> Sequence[Embedding]: ...


class Vendi:
    """The effective number of different pictures in a set. ``embedder``: what they are compared by."""

    card: ClassVar[MetricCard] = MetricCard(
        name="vendi",
        title="Vendi: effective number of different pictures",
        revision=f"1-{PixelEmbedding.name}",
        takes="set",
        scale="pictures, 1 to infinity",
        source="Friedman & Dieng 2022, arXiv:2210.02410; over small pictures' pixels (its 'pixel Vendi Score')",
        verified="needs no weights",
    )

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder or PixelEmbedding()

    def missing(self) -> str | None:
        """What the embedder lacks."""
        return self._embedder.missing()

    def measure(self, images: Sequence[Pixels], reference: Sequence[Pixels], cache: Embeddings) -> Score:
        """The Vendi Score of ``images``, 1 to their number. ``reference`` has no part in it.

        Raises ``InvalidRequest`` for fewer than two pictures, or where a reference is given.
        """
        if len(images) < 2:
            raise InvalidRequest(f"{len(images)} pictures have no diversity", hint="give two or more")
        if reference:
            raise InvalidRequest("vendi compares a set with nothing else", hint="leave the reference out")
        card = self.card
        value = vendi(self._embedder.embed(images, cache))
        revision = f"1-{self._embedder.name}"
        return Score(scorer=card.name, revision=revision, value=value, scale=card.scale, domain=card.domain)


def vendi(embeddings: Sequence[ArrayLike] | NDArray[np.float32]) -> float:
    """The Vendi Score of vectors [n, D], compared by their cosine: 1 to n. Raises ``ValueError`` for NaN or zeros."""
    unit = _unit(embeddings)
    return vendi_of(unit @ unit.T)


def vendi_of(similarities: ArrayLike) -> float:
    """The Vendi Score of a positive semidefinite similarity matrix [n, n] with ones on its diagonal.

    Raises ``ValueError`` for one that is not square, not symmetric or not finite.
    """
    k: Floats = np.asarray(similarities, dtype=np.float64)
    if k.ndim != 2 or k.shape[0] != k.shape[1] or not k.size or not np.isfinite(k).all() or not np.allclose(k, k.T):
        raise ValueError("similarities are a symmetric matrix of finite numbers")
    eigenvalues = np.linalg.eigvalsh(k / len(k))
    held = eigenvalues[eigenvalues > 0]  # rounding leaves zeros a little below
    return float(math.exp(-(held * np.log(held)).sum()))


def diversity(images: Sequence[Pixels], embed: Embed) -> Floats:
    """For each picture [n] its mean cosine distance, 0 to 2, to the others: what one seed adds to its arm.

    Raises ``InvalidRequest`` for fewer than two pictures, ``ValueError`` as ``vendi``.
    """
    if len(images) < 2:
        raise InvalidRequest(f"{len(images)} pictures have no diversity", hint="give two or more")
    return mean_distances(embed(images))


def mean_distances(embeddings: Sequence[ArrayLike] | NDArray[np.float32]) -> Floats:
    """``diversity`` of vectors [n, D], n at least 2, that are there already."""
    unit = _unit(embeddings)
    n = len(unit)
    own = np.einsum("nd,nd->n", unit, unit)
    means: Floats = 1 - (unit @ unit.sum(axis=0) - own) / (n - 1)
    return np.maximum(means, 0)  # copies, a rounding away from zero


def _unit(embeddings: Sequence[ArrayLike] | NDArray[np.float32]) -> Floats:
    vectors: Floats = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True) if vectors.ndim == 2 else np.zeros(1)
    if not np.isfinite(vectors).all() or not (lengths > 0).all():
        raise ValueError("embeddings are rows of finite numbers, not all zero")
    return vectors / lengths
