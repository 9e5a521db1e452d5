"""``clipped``: the share of a picture at the ends of its scale, where light or colour is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.model_free import checked, scored
from limner.types import Pixels, Score


def clipped(pixels: Pixels) -> float:
    """The share [0, 1] of channel values that are 0 or 255."""
    values = checked(pixels)
    return float(np.count_nonzero((values == 0) | (values == 255)) / values.size)


class Clipped:
    """Clipped share of each picture, without a model."""

    card: ClassVar[MetricCard] = MetricCard(
        name="clipped",
        title="Clipped share",
        revision="1",
        takes="picture",
        scale="share of channel values, 0 to 1",
        better="lower",
        source="share of values at 0 or 255",
        verified="needs no weights",
    )

    def missing(self) -> str | None:
        """Nothing ever is."""
        return None

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> list[Score]:
        """One score a picture; texts do not matter. Raises ``InvalidRequest`` for what is no picture."""
        card = self.card
        values = [clipped(image) for image in images]
        return scored(values, texts, name=card.name, revision=card.revision, scale=card.scale)
