"""A picture that shows its colours and nothing else."""

from __future__ import annotations

import numpy as np
from PIL import Image

from limner.types import Pixels

CELLS = 12  # along the longer side: what is left of a picture; no filter brings back what was averaged away


def blurred(pixels: Pixels) -> Pixels:
    """The same size, averaged over ``CELLS`` cells and smoothed. The same pixels give the same answer."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    long = max(picture.size)
    cells = tuple(max(1, round(CELLS * side / long)) for side in picture.size)
    small = picture.resize((cells[0], cells[1]), Image.Resampling.BOX)
    return np.array(small.resize(picture.size, Image.Resampling.BICUBIC))
