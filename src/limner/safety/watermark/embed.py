"""Putting the mark into a picture, no stronger than it needs to be.

The pattern of each plane is repeated from the first pixel on, made as strong as the texture at each pixel allows, and
added. How strong overall is decided by looking: a central window is marked, saved as JPEG at quality 55 and read back;
the least of four strengths whose pilots are still clear is taken.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limner.errors import InvalidRequest
from limner.safety.watermark import code
from limner.safety.watermark.arrays import Plane
from limner.safety.watermark.bands import TILE
from limner.safety.watermark.colour import channels, checked, mixed
from limner.safety.watermark.detect import PRESENT
from limner.safety.watermark.pattern import shipped_pattern, shipped_tiles
from limner.safety.watermark.search import score_in_place
from limner.safety.watermark.spectrum import Spectrum
from limner.safety.watermark.texture import strengths
from limner.types.base import Pixels

SMALLEST = 64
"""Pixels. A picture with a shorter side is not marked: in half a tile the lines are hardly to be told from chance."""
LADDER = (0.45, 0.6, 0.8, 1.0)
GENTLE = 0.45
"""Of the strength on even ground that gentle marking keeps; in texture, which hides the mark, it keeps all."""
CLEAR = 13.0
"""The pilots' score on the window after JPEG 55 that is asked for: 8.1 finds a mark, and the rest is for what else will
happen to the picture. Scores end at 26."""
TRIAL_QUALITY = 55
_WINDOW = 512
_ROOM = 1.5
"""Steps kept free below 255 and above 0, so that both signs of the pattern fit on white, black and primaries."""
_MEAN_PSNR = 41.5
_LEAST_PSNR = 40.3
"""dB: what the pattern is scaled down to beforehand, and what the marked bytes keep after rounding, room and clipping.
40 is promised."""


@dataclass(frozen=True)
class Marked:
    """``pixels``: the marked picture (height x width x 3, uint8, the size of the one given). ``strength``: the step of
    the ladder taken (0: not marked, see ``why_not``). ``psnr``: dB against the picture given, infinite where nothing
    changed. ``score``: how clearly the pilots of a central window were read after the trial. ``found``: whether they
    were clear enough to be told from chance, after the trial or at least before it; where they were not (noise, very
    small pictures), the mark is there, but ``detect`` may not see it.
    """

    pixels: Pixels
    payload: int
    strength: float
    psnr: float
    score: float
    found: bool
    why_not: str = ""

    @property
    def sure(self) -> bool:
        """Whether enough was left after the trial for what else may happen to the picture."""
        return self.score >= CLEAR


def embed(pixels: Pixels, payload: int, *, gentle: bool = False, strength: float | None = None) -> Marked:
    """Mark ``pixels`` (height x width x 3, uint8) with ``payload`` (0 to 2**32 - 1).

    The same picture and payload give the same bytes. ``gentle``: at most 0.45 of the full strength on even ground, for
    backdrops that are looked at closely; even pictures are then found less surely after strong compression. A picture
    with a side below ``SMALLEST`` comes back as it was, and ``why_not`` says so. ``strength``: this one and no other,
    to make again what a Record tells of (with the same ``gentle``). Raises ``InvalidRequest`` for other pixels,
    payloads and strengths.
    """
    checked(pixels)
    if not 0 <= payload < 1 << code.BITS:
        raise InvalidRequest(f"a watermark's payload is of {code.BITS} bits, not {payload}", field="payload")
    if strength is not None and not 0 < strength <= 1:
        raise InvalidRequest(f"a watermark's strength is above 0 and at most 1, not {strength}", field="strength")
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST:
        why = f"{width}x{height} pixels are too few for a watermark: both sides need {SMALLEST}"
        return Marked(pixels.copy(), payload, 0.0, math.inf, 0.0, False, why)
    overlay = _Overlay(pixels, payload, GENTLE if gentle else 1.0)
    taken, score = _least(overlay, LADDER if strength is None else (strength,))
    marked = overlay.at(taken)
    found = max(score, 0 if score >= PRESENT else _score(overlay.window_at(taken))) >= PRESENT
    return Marked(marked, payload, taken, psnr(pixels, marked), score, found)


def psnr(before: Pixels, after: Pixels) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures."""
    error = _squared_error(before, after)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


class _Overlay:
    """A picture and what is to be added to it at full strength; ``even``: the share of it on even ground."""

    def __init__(self, pixels: Pixels, payload: int, even: float) -> None:
        self.pixels = pixels
        self.room = _ROOM * even
        self.base = channels(pixels)
        tiles = shipped_tiles(payload)
        planes = [_repeated(tile, by) for tile, by in zip(tiles, strengths(self.base, even), strict=True)]
        self.added = mixed(*planes)
        power = sum(float(np.vdot(plane, plane)) for plane in self.added) / (3 * self.added[0].size)
        # rounded: a sum's last bits may differ between machines, the marked bytes may not
        self.scale = min(1.0, math.floor(4096 * math.sqrt(_error_of(_MEAN_PSNR) / power)) / 4096)

    def at(self, strength: float) -> Pixels:
        """The picture marked at ``strength``; less where it would go below ``_LEAST_PSNR``."""
        return self._marked(self.pixels, self.base, self.added, strength)

    def window_at(self, strength: float) -> Pixels:
        """A central window of the picture, from a tile's first pixel on, marked at ``strength``."""
        rows, columns = (_central(size) for size in self.pixels.shape[:2])

        def part(planes: Sequence[Plane]) -> list[Plane]:
            return [plane[rows, columns] for plane in planes]

        return self._marked(self.pixels[rows, columns], part(self.base), part(self.added), strength)

    def _marked(self, pixels: Pixels, base: Sequence[Plane], added: Sequence[Plane], strength: float) -> Pixels:
        room = np.float32(self.room * strength)
        gain = strength * self.scale
        out = np.empty_like(pixels)
        while True:
            for channel, (plane, pattern) in enumerate(zip(base, added, strict=True)):
                value = np.clip(plane, room, 255 - room)
                value += pattern * np.float32(gain)
                out[:, :, channel] = np.clip(np.rint(value, out=value), 0, 255, out=value)
            if _squared_error(pixels, out) <= _error_of(_LEAST_PSNR) or gain < 0.3 * strength:
                return out
            gain *= 0.9


def _repeated(tile: Plane, strength: Plane) -> Plane:
    """``tile`` repeated from the first pixel on, times ``strength`` (in place)."""
    height, width = strength.shape
    row = np.tile(tile, (1, -(-width // TILE)))[:, :width]
    for top in range(0, height, TILE):
        strength[top : top + TILE] *= row[: height - top]
    return strength


def _least(overlay: _Overlay, ladder: tuple[float, ...]) -> tuple[float, float]:
    """The least step of ``ladder`` that is clear, by bisection, and its score; the highest where none is."""
    low, high = 0, len(ladder) - 1
    scores: dict[int, float] = {}
    while low < high:
        middle = (low + high) // 2
        scores[middle] = _after_trial(overlay, ladder[middle])
        low, high = (low, middle) if scores[middle] >= CLEAR else (middle + 1, high)
    if low not in scores:
        scores[low] = _after_trial(overlay, ladder[low])
    return ladder[low], scores[low]


def _after_trial(overlay: _Overlay, strength: float) -> float:
    return _score(_compressed(overlay.window_at(strength)))


def _score(window: Pixels) -> float:
    return score_in_place(shipped_pattern(), Spectrum(window))


def _compressed(pixels: Pixels) -> Pixels:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg", quality=TRIAL_QUALITY)
    return np.asarray(Image.open(stream))


def _central(size: int) -> slice:
    start = max(0, size - _WINDOW) // 2 // TILE * TILE
    return slice(start, start + _WINDOW)


def _error_of(decibel: float) -> float:
    return float(255**2 / 10 ** (decibel / 10))


def _squared_error(before: Pixels, after: Pixels) -> float:
    difference = before.astype(np.int16)
    difference -= after
    flat = difference.astype(np.float32).reshape(-1)
    return float(np.vdot(flat, flat)) / flat.size
