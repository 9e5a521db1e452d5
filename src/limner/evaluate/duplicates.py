"""``duplicates``: the share of a set's pictures that nearly repeat an earlier one, by a perceptual hash.

The hash is the sign pattern of the picture's lowest frequencies (C. Zauner 2010, "Implementation and benchmarking of
perceptual image hash functions"): it outlives scaling, mild blur and compression, and changes with the composition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from limner.errors import InvalidRequest
from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.model_free import luma
from limner.types import Pixels, Score

NEAR = 6  # of 63 bits; unrelated pictures differ in about 31
_SIDE, _KEPT = 32, 8


class Duplicates:
    """Near repeats within a set of pictures, without a model."""

    card: ClassVar[MetricCard] = MetricCard(
        name="duplicates",
        title="Near duplicates",
        revision="1",
        takes="set",
        scale="share of pictures that nearly repeat an earlier one, 0 to 1",
        better="lower",
        source="perceptual hash by discrete cosine transform, Zauner 2010",
        verified="needs no weights",
    )

    def missing(self) -> str | None:
        """Nothing ever is."""
        return None

    def measure(self, images: Sequence[Pixels], reference: Sequence[Pixels], cache: Embeddings) -> Score:
        """The share of ``images`` that are near an earlier one, or any of ``reference``.

        Raises ``InvalidRequest`` for no picture at all, or what is none.
        """
        if not images:
            raise InvalidRequest("there are no pictures to look for duplicates in")
        seen = [perceptual_hash(picture) for picture in reference]
        repeats = 0
        for picture in images:
            own = perceptual_hash(picture)
            repeats += any(distance(own, other) <= NEAR for other in seen)
            seen.append(own)
        card = self.card
        return Score(
            scorer=card.name,
            revision=card.revision,
            value=repeats / len(images),
            scale=card.scale,
            domain=card.domain,
        )


def perceptual_hash(pixels: Pixels) -> int:
    """63 bits: which of the lowest 8x8 frequencies, the mean left out, lie above their median."""
    grey = Image.fromarray(np.round(luma(pixels) * 255).astype(np.uint8)).resize(
        (_SIDE, _SIDE), Image.Resampling.LANCZOS
    )
    basis = _cosines()
    lowest = (basis @ np.asarray(grey, dtype=np.float64) @ basis.T).ravel()[1:]
    # Rounding away what arithmetic alone left, so that a flat picture's hash is the same on every machine.
    bits = np.round(lowest, 6) > np.median(np.round(lowest, 6))
    return int("".join("1" if bit else "0" for bit in bits), 2)


def distance(a: int, b: int) -> int:
    """The bits in which two hashes differ, 0 to 63."""
    return (a ^ b).bit_count()


def _cosines() -> NDArray[np.float64]:
    """The first rows of the cosine transform, [8, 32]."""
    k, n = np.arange(_KEPT)[:, None], np.arange(_SIDE)[None]
    rows: NDArray[np.float64] = np.cos(np.pi * k * (2 * n + 1) / (2 * _SIDE))
    return rows
