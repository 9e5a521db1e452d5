"""Faults that show without any model: what the model-free metrics share, and the limits at which they are a fault.

numpy and Pillow alone. A picture past a limit should neither win a search nor stand for its seed in a verdict unsaid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from limner.canonical import tagged
from limner.errors import InvalidRequest
from limner.types import Notice, Score

if TYPE_CHECKING:
    from limner.types import Pixels

LIMITS: Mapping[str, float] = MappingProxyType({"blank": 0.02, "clipped": 0.6, "blur": 0.8, "duplicates": 0.0})
"""Past these a picture, or a set, is at fault: below for ``blank``, above for the others."""
_SAID = {
    "blank": "the picture is all but one flat colour",
    "clipped": "most of the picture is at the ends of the scale: overexposed, black or oversaturated",
    "blur": "the picture is blurred, or has no detail",
    "duplicates": "pictures of the set are near duplicates",
}


def checked(pixels: Pixels) -> Pixels:
    """The same pixels. Raises ``InvalidRequest`` where they are not 8-bit RGB [H, W, 3]."""
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise InvalidRequest(
            f"a picture is {pixels.dtype} {list(pixels.shape)}", hint="metrics take uint8 [height, width, 3]"
        )
    return pixels


def luma(pixels: Pixels) -> NDArray[np.float64]:
    """Brightness [H, W] in [0, 1] by the weights of BT.601."""
    grey: NDArray[np.float64] = checked(pixels) @ np.array([0.299, 0.587, 0.114]) / 255
    return grey


def faults(scores: Iterable[Score]) -> tuple[Notice, ...]:
    """What the model-free scores among ``scores`` say is wrong with their picture or set; empty where nothing is."""
    found = []
    for score in scores:
        limit = LIMITS.get(score.scorer)
        if limit is None:
            continue
        if score.value < limit if score.scorer == "blank" else score.value > limit:
            found.append(Notice(code=f"picture_{score.scorer}", message=f"{_SAID[score.scorer]} ({score.value:.3g})"))
    return tuple(found)


def scored(values: Sequence[float], texts: Sequence[str], *, name: str, revision: str, scale: str) -> list[Score]:
    """Scores of pictures, whichever their texts (as many, or none)."""
    if texts and len(texts) != len(values):
        raise InvalidRequest(f"{len(texts)} texts for {len(values)} pictures")
    said: list[str | None] = [tagged(text.encode()) for text in texts] or [None for _ in values]
    return [
        Score(scorer=name, revision=revision, value=value, scale=scale, domain="any", text=text)
        for value, text in zip(values, said, strict=True)
    ]
