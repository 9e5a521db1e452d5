"""Pictures as published classifiers see them: resized by Pillow, cut to squares, normalised.

A classifier is square. What its authors cut off at the sides of an oblong picture would go unseen, so squares that
together cover the picture are looked at; a nearly square picture is the one centre crop of the authors' own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from limner.types import Pixels

NEARLY_SQUARE = 1.2  # long side by short side
MOST = 16  # squares of one picture


@dataclass(frozen=True, slots=True)
class Eye:
    """How a network sees: ``side`` in pixels, ``mean`` and ``std`` of 0..1, Pillow's filter; ``squashed`` to a square
    or cut into squares."""

    side: int
    mean: Sequence[float]
    std: Sequence[float]
    resample: int = Image.Resampling.BICUBIC
    squashed: bool = False

    def see(self, pixels: Pixels) -> Tensor:
        """Pixels [H, W, 3] as float32 [V, 3, S, S], V views."""
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        filter_ = Image.Resampling(self.resample)
        if self.squashed:
            return self._normalised([picture.resize((self.side, self.side), filter_)])
        short = min(picture.size)
        size = (int(self.side * picture.width / short), int(self.side * picture.height / short))
        if size != picture.size:
            picture = picture.resize(size, filter_)
        return self._normalised([picture.crop(box) for box in squares(picture.width, picture.height)])

    def _normalised(self, views: Sequence[Image.Image]) -> Tensor:
        stacked = np.stack([np.asarray(view, np.float32) for view in views]) / np.float32(255)
        x = torch.from_numpy(stacked).permute(0, 3, 1, 2)
        mean, std = (torch.tensor(each, dtype=torch.float32)[:, None, None] for each in (self.mean, self.std))
        return (x - mean) / std


def squares(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Boxes (left, top, right, bottom) of the short side: the centre, or as many as cover the picture."""
    short, long = sorted((width, height))
    count = 1 if long <= NEARLY_SQUARE * short else min(MOST, math.ceil(long / short))
    spare = long - short
    begins = [spare // 2] if count == 1 else [round(spare * k / (count - 1)) for k in range(count)]
    return [(b, 0, b + short, short) if width >= height else (0, b, short, b + short) for b in begins]
