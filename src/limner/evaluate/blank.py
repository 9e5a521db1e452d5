"""``blank``: the contrast of a picture; near zero where it is one flat colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.model_free import checked, scored
from limner.types import Pixels, Score


def blank(pixels: Pixels) -> float:
    """The largest channel's standard deviation over 127.5, the greatest possible: 0 for one flat colour, 1 for half
    black, half white."""
    return float(checked(pixels).reshape(-1, 3).std(axis=0, dtype=np.float64).max() / 127.5)


class Blank:
    """Contrast of each picture, without a model."""

    card: ClassVar[MetricCard] = MetricCard(
        name="blank",
        title="Contrast",
        revision="1",
        takes="picture",
        scale="standard deviation of the liveliest channel over its greatest, 0 to 1",
        better="higher",
        source="standard deviation of pixels",
        verified="needs no weights",
    )

    def missing(self) -> str | None:
        """Nothing ever is."""
        return None

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> list[Score]:
        """One score a picture; texts do not matter. Raises ``InvalidRequest`` for what is no picture."""
        card = self.card
        values = [blank(image) for image in images]
        return scored(values, texts, name=card.name, revision=card.revision, scale=card.scale)
