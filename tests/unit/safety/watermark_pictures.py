"""Small pictures for the watermark's tests, and what happens to them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from limner.types.base import Pixels


def flat(colour: tuple[int, int, int], height: int = 256, width: int = 256) -> Pixels:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def ramp(height: int = 256, width: int = 256) -> Pixels:
    y, x = np.mgrid[0:height, 0:width]
    planes = 60 + 120 * x / width, 200 - 100 * y / height, 90 + 60 * (x + y) / (height + width)
    return np.rint(np.stack(planes, 2)).astype(np.uint8)


def clouds(height: int = 320, width: int = 384, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (5, 6, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return np.clip(np.rint(smooth + rng.normal(0, 4, smooth.shape)), 0, 255).astype(np.uint8)


def saved(pixels: Pixels, kind: str, quality: int) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def scaled(pixels: Pixels, by: float) -> Pixels:
    size = round(pixels.shape[1] * by), round(pixels.shape[0] * by)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
