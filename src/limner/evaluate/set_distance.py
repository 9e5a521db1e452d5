"""Distances of a set of pictures to a reference set, on features of Inception: what FID and KID share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from limner.errors import InvalidRequest
from limner.evaluate.inception_features import InceptionFeatures
from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.vendi import Embedder
from limner.types import Pixels, Score

Features: TypeAlias = NDArray[np.float64]


class InceptionDistance:
    """Fewer than ``enough`` pictures a side are flagged. ``embedder`` or ``folder``: other features or weights."""

    card: ClassVar[MetricCard]
    enough: ClassVar[int]

    def __init__(self, folder: Path | None = None, *, embedder: Embedder | None = None) -> None:
        self._embedder = embedder or InceptionFeatures(folder)

    def missing(self) -> str | None:
        """The command that fetches what the features lack."""
        return self._embedder.missing()

    def distance(self, ours: Features, theirs: Features) -> float:
        """Of features [n, D] and [m, D]."""
        raise NotImplementedError

    def measure(self, images: Sequence[Pixels], reference: Sequence[Pixels], cache: Embeddings) -> Score:
        """The distance of ``images`` to ``reference``.

        Raises ``InvalidRequest`` for fewer than two on either side, and as its features do.
        """
        ours, theirs = two_sets(self._embedder, images, reference, cache)
        card = self.card
        return Score(
            scorer=card.name,
            revision=f"1-{self._embedder.name}",
            value=self.distance(ours, theirs),
            scale=card.scale,
            domain=card.domain,
            flags=few(len(images), len(reference), self.enough),
        )


def two_sets(
    embedder: Embedder, images: Sequence[Pixels], reference: Sequence[Pixels], cache: Embeddings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The features [n, D] and [m, D] of a set and its reference. Raises ``InvalidRequest`` for fewer than two."""
    if len(images) < 2 or len(reference) < 2:
        raise InvalidRequest(
            f"{len(images)} pictures against {len(reference)} of a reference give no distance",
            hint="give two or more of each; thousands for figures that can be compared",
        )
    ours, theirs = (np.asarray(embedder.embed(each, cache), dtype=np.float64) for each in (images, reference))
    return ours, theirs


def few(images: int, reference: int, enough: int) -> tuple[str, ...]:
    """The flag of a distance over fewer pictures than it needs."""
    least = min(images, reference)
    return (f"of {least} pictures only: biased below some {enough:,}",) if least < enough else ()
