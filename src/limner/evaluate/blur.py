"""``blur``: how little detail a picture would lose if it were blurred once more (Crete et al. 2007).

F. Crete, T. Dolmiere, P. Ladret, M. Nicolas, "The blur effect: perception and estimation with a new no-reference
perceptual blur metric", SPIE 6492.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.model_free import luma, scored
from limner.types import Pixels, Score

WINDOW = 9  # pixels of the second blur, as published


def blur(pixels: Pixels) -> float:
    """0 for sharp, 1 for a picture that another blur would leave as it is; one without any detail counts as 1.

    The larger of the two directions. It says more of soft than of small pictures: below some 32 pixels it is coarse.
    """
    grey = luma(pixels)
    return max(_along(grey), _along(grey.T))


def _along(grey: NDArray[np.float64]) -> float:
    """Along the rows: what is left of the differences between neighbours, and was no edge of the blur's own making."""
    if grey.shape[1] < 2:
        return 0.0
    own = np.abs(np.diff(grey, axis=1))
    lost = np.maximum(0.0, own - np.abs(np.diff(_smoothed(grey), axis=1)))
    total = float(own.sum())
    return 1.0 if total < 1e-9 else min(1.0, max(0.0, (total - float(lost.sum())) / total))


def _smoothed(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """The running mean over ``WINDOW`` pixels of each row, its ends repeated outwards."""
    half = WINDOW // 2
    wide = np.pad(grey, ((0, 0), (half + 1, half)), mode="edge").cumsum(axis=1)
    means: NDArray[np.float64] = (wide[:, WINDOW:] - wide[:, :-WINDOW]) / WINDOW
    return means


class Blur:
    """Blur of each picture, without a model."""

    card: ClassVar[MetricCard] = MetricCard(
        name="blur",
        title="Blur",
        revision="1",
        takes="picture",
        scale="share of detail that blurring does not take, 0 to 1",
        better="lower",
        source="Crete et al. 2007, The blur effect",
        verified="needs no weights",
    )

    def missing(self) -> str | None:
        """Nothing ever is."""
        return None

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> list[Score]:
        """One score a picture; texts do not matter. Raises ``InvalidRequest`` for what is no picture."""
        card = self.card
        values = [blur(image) for image in images]
        return scored(values, texts, name=card.name, revision=card.revision, scale=card.scale)
