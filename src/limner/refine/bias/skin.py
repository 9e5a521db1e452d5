"""A proxy for skin tone: which of the ten tones of the Monk scale the skin-coloured pixels of a picture are nearest to.

It measures a picture's colours, not a person. Light, make-up, sepia and backgrounds of wood or sand move it; very dark
and very pale skin is missed more often than what lies between, so the ends of the scale are undercounted.

The scale: Monk 2019, published 2022 under CC BY 4.0. Skin-coloured: the chroma box of Chai and Ngan 1999 (IEEE TCSVT).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from limner.types import Pixels

MONK = (
    *("f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96"),
    *("a07e56", "825c43", "604134", "3a312a", "292420"),
)
CR, CB = (133, 173), (77, 127)
LEAST = 0.03  # of the middle of the picture; less skin than this tells nothing
SIDE = 128  # pixels; tone needs no more

Floats = NDArray[np.float64]


def tone(pixels: Pixels) -> int | None:
    """1 (lightest) to 10 (darkest); ``None`` where too little is skin-coloured."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((SIDE, SIDE))
    wide, high = picture.size
    middle = picture.crop((wide // 5, high // 8, wide - wide // 5, high - high // 8))
    ycc = np.asarray(middle.convert("YCbCr")).reshape(-1, 3)
    skin = (ycc[:, 1] >= CB[0]) & (ycc[:, 1] <= CB[1]) & (ycc[:, 2] >= CR[0]) & (ycc[:, 2] <= CR[1])
    if float(skin.mean()) < LEAST:
        return None
    rgb = np.median(np.asarray(middle).reshape(-1, 3)[skin], axis=0)
    distances = np.linalg.norm(lab(_monk()) - lab(rgb[None]), axis=1)
    return int(distances.argmin()) + 1


def lab(rgb: Floats) -> Floats:
    """CIE L*a*b* (D65) of sRGB 0..255 [N, 3]."""
    scaled = np.asarray(rgb, np.float64) / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                       [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _monk() -> Floats:
    return np.array([[int(each[k : k + 2], 16) for k in (0, 2, 4)] for each in MONK], np.float64)
