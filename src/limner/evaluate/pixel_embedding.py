"""A picture as a vector without any model: its pixels, small. Compares layout and colour, and nothing of meaning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from limner.evaluate.metric import Embedding, Embeddings
from limner.evaluate.model_free import checked
from limner.types import Pixels

SIDE = 32


class PixelEmbedding:
    """Vectors [3072]: the picture in 32x32 pixels, 0 to 1."""

    name = f"pixels{SIDE}"

    def missing(self) -> str | None:
        """Nothing ever is."""
        return None

    def embed(self, images: Sequence[Pixels], cache: Embeddings) -> list[Embedding]:
        """One a picture; quicker computed than looked up, so none is kept. Raises ``InvalidRequest`` for no picture."""
        return [_small(image) for image in images]


def _small(pixels: Pixels) -> Embedding:
    """A grey floor is added so that a black picture, too, has a direction."""
    small = Image.fromarray(checked(pixels)).resize((SIDE, SIDE), Image.Resampling.BOX)
    vector: Embedding = ((np.asarray(small).ravel().astype(np.float32) + 1) / 256).astype(np.float32)
    return vector
