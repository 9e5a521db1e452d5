"""Finding the mark in any picture, and how often chance would look like one.

*The rule.* A mark is present where z >= 8.1, or where z >= 6.7 and the payload's check sum holds.

*Why.* By the bound of ``search.py`` a single test of an unmarked picture exceeds x with probability at most
exp(-x**2 / 2), over keys drawn at random. Everything that can be reached is 2 views x 44 surfaces x 49 finer scales x
15,625 offsets = 6.7e7 tests; a union bound gives 3.8e-7 for the first arm, and for the second 1.2e-2 times the check
sum's 2**-16, 1.8e-7: together 5.6e-7, below one in a million. Whoever makes the search larger must raise the
thresholds. The bound is an average over keys; that the shipped one is no worse is measured
(``benchmarks/watermark.py``).

Absence proves nothing: rotation beyond about 1 degree, perspective, a screenshot of a screen, drawing over it by
another model, or anyone with this code can remove the mark. Presence is no signature either: anyone can add it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from limner.safety.watermark.bands import TILE
from limner.safety.watermark.colour import checked
from limner.safety.watermark.pattern import Pattern, shipped_pattern
from limner.safety.watermark.search import Place, find, payload
from limner.safety.watermark.spectrum import Spectrum
from limner.types.base import Pixels

PRESENT = 8.1
PRESENT_WITH_PAYLOAD = 6.7
SMALLEST = 32
"""Pixels. Nothing is looked for in a picture with a shorter side."""
_ONE_VIEW = 1152
"""Pixels a side up to which the picture is searched as it is: above, time and memory would grow without finding
more."""
_MIDDLE = 1024
_CLEARLY = 2.0
"""A first view this far above the threshold, with its payload, is believed at once."""


@dataclass(frozen=True)
class Detection:
    """``present``: whether the mark is there; ``payload``: what it says, where it could be read. ``score``: z, to about
    26. Where it is not present, what follows is meaningless.

    ``scale``: (x, y) size of this picture over the marked one's. ``offset``: (x, y) in the tile, 0 to 125, in pixels of
    the marked picture, of the first pixel's upper left corner: how much was cut off at the left and top, modulo 125.
    ``mirrored``: left to right, and then ``turned`` clockwise by 0, 90, 180 or 270 degrees (for those the offset is the
    one in the picture turned and mirrored back, counted from the tile's other edges).
    """

    present: bool
    payload: int | None
    score: float
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False
    turned: int = 0


def detect(pixels: Pixels) -> Detection:
    """Look for the mark in ``pixels`` (height x width x 3, uint8), at 45 to 220 % of its size, cropped, mirrored or
    turned by quarters. Raises ``InvalidRequest`` for other pixels."""
    return detect_with(shipped_pattern(), pixels)


def detect_with(pattern: Pattern, pixels: Pixels) -> Detection:
    """``detect`` with another key's pattern: for measuring false alarms."""
    best = Detection(False, None, 0.0)
    if min(checked(pixels).shape[:2]) < SMALLEST:
        return best
    for view, reduced, corner in _views(pixels):
        found = _described(pattern, find(pattern, Spectrum(view)), reduced, corner)
        if found.score > best.score:
            best = found
        if best.score >= PRESENT + _CLEARLY and best.payload is not None:
            break
    return best


def _views(pixels: Pixels) -> Iterator[tuple[Pixels, float, tuple[int, int]]]:
    """What to search: pixels, how much they were reduced, where their first pixel lies in the picture (x, y)."""
    height, width = pixels.shape[:2]
    if max(height, width) <= _ONE_VIEW:
        yield pixels, 1.0, (0, 0)
        return
    top, left = (max(0, size - _MIDDLE) // 2 for size in (height, width))
    yield pixels[top : top + _MIDDLE, left : left + _MIDDLE], 1.0, (left, top)
    from PIL import Image

    reduced = _ONE_VIEW / max(height, width)
    size = max(1, round(width * reduced)), max(1, round(height * reduced))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.HAMMING, reducing_gap=None))
    if min(size) >= SMALLEST:
        yield small, reduced, (0, 0)


def _described(pattern: Pattern, place: Place, reduced: float, corner: tuple[int, int]) -> Detection:
    says = payload(pattern, place) if place.score >= PRESENT_WITH_PAYLOAD else None
    x, y = place.offset
    return Detection(
        present=place.score >= PRESENT or says is not None,
        payload=says,
        score=place.score,
        scale=(1 / (place.across * reduced), 1 / (place.down * reduced)),
        offset=(_corner(x, place.across, corner[0]), _corner(y, place.down, corner[1])),
        mirrored=place.form.mirrored,
        turned=place.form.turned,
    )


def _corner(peak: float, inverse: float, before: int) -> float:
    """Where in the tile the picture's edge lies, from the peak of its first pixel's middle in a view that begins
    ``before`` pixels later."""
    return (-peak + 0.5 - (before + 0.5) * inverse) % TILE
