"""What may happen to a picture on its way: each is a function of its pixels and a generator."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from limner.types.base import Pixels

Attack = Callable[[Pixels, np.random.Generator], Pixels]


def saved(pixels: Pixels, kind: str, quality: int) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def scaled(pixels: Pixels, by: float) -> Pixels:
    height, width = pixels.shape[:2]
    size = max(1, round(width * by)), max(1, round(height * by))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def cropped(pixels: Pixels, rng: np.random.Generator, area: float) -> Pixels:
    """A rectangle of ``area`` of the picture, its shape within a third of the picture's own, anywhere."""
    height, width = pixels.shape[:2]
    stretch = np.sqrt(rng.uniform(0.75, 1.33))
    h, w = min(height, int(height * area**0.5 * stretch)), min(width, int(width * area**0.5 / stretch))
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    return np.ascontiguousarray(pixels[top : top + h, left : left + w])


def turned(pixels: Pixels, degrees: float) -> Pixels:
    height, width = pixels.shape[:2]
    edge = round(max(height, width) * 0.02)  # what a turn by 1 degree brings in from outside
    whole = Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(whole)[edge : height - edge, edge : width - edge]


def grainy(pixels: Pixels, rng: np.random.Generator, sigma: float) -> Pixels:
    return np.clip(np.rint(pixels + rng.normal(0, sigma, pixels.shape)), 0, 255).astype(np.uint8)


def grey(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))


def brighter(pixels: Pixels) -> Pixels:
    light: Pixels = np.minimum(pixels * 1.2 + 10, 255).astype(np.uint8)
    return light


def filtered(pixels: Pixels, by: ImageFilter.Filter) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(by))


GATED: dict[str, tuple[Attack, float]] = {
    "none": (lambda x, _: x, 0.99),
    "JPEG 90": (lambda x, _: saved(x, "jpeg", 90), 0.99),
    "JPEG 75": (lambda x, _: saved(x, "jpeg", 75), 0.95),
    "WebP 80": (lambda x, _: saved(x, "webp", 80), 0.95),
    "50 %": (lambda x, _: scaled(x, 0.5), 0.95),
    "55 to 95 %": (lambda x, rng: scaled(x, rng.uniform(0.55, 0.95)), 0.95),
    "110 to 180 %": (lambda x, rng: scaled(x, rng.uniform(1.1, 1.8)), 0.95),
    "200 %": (lambda x, _: scaled(x, 2.0), 0.95),
    "half the area": (lambda x, rng: cropped(x, rng, 0.5), 0.90),
    "half the area, again": (lambda x, rng: cropped(x, rng, 0.5), 0.90),
}
"""The attacks that are promised, each with the share that must be found (the lower end of the 95 % interval)."""

OTHERS: dict[str, Attack] = {
    "JPEG 50": lambda x, _: saved(x, "jpeg", 50),
    "WebP 50": lambda x, _: saved(x, "webp", 50),
    "a quarter of the area": lambda x, rng: cropped(x, rng, 0.25),
    "a tenth of the area": lambda x, rng: cropped(x, rng, 0.1),
    "half the area, JPEG 75": lambda x, rng: saved(cropped(x, rng, 0.5), "jpeg", 75),
    "75 %, half the area, JPEG 85": lambda x, rng: saved(cropped(scaled(x, 0.75), rng, 0.5), "jpeg", 85),
    "50 %, JPEG 85": lambda x, _: saved(scaled(x, 0.5), "jpeg", 85),
    "grey": lambda x, _: grey(x),
    "mirrored": lambda x, _: np.ascontiguousarray(x[:, ::-1]),
    "a quarter turn": lambda x, _: np.ascontiguousarray(np.rot90(x)),
    "turned by 1 degree": lambda x, _: turned(x, 1.0),
    "blurred (sigma 1)": lambda x, _: filtered(x, ImageFilter.GaussianBlur(1)),
    "median of 3 x 3": lambda x, _: filtered(x, ImageFilter.MedianFilter(3)),
    "noise (sigma 8)": lambda x, rng: grainy(x, rng, 8.0),
    "brightened, clipped": lambda x, _: brighter(x),
}
"""Others, reported without a promise."""
