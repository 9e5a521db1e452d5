"""Looking for the pattern: at which scale, at which place in the tile, mirrored or turned.

First the scale from magnitudes alone (``Spectrum.comb``), then for each candidate the place: one inverse Fourier
transform of the pilots, freed of their phases, gives the score of every offset at once.

The score of one test (one scale, one form, one offset) is z = S / sqrt(E/2), with S the real part of the sum of the
pilots' values times their conjugate phases and E their energy. Values and weights depend on magnitudes only, so for a
picture that does not know the key, and phases drawn uniformly, Hoeffding's lemma for sums of cosines gives

    P(z > x) <= exp(-x**2 / 2)

whatever the picture is: stripes, text or noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from limner.safety.watermark import code
from limner.safety.watermark.arrays import Ints, Lines, Plane
from limner.safety.watermark.bands import TILE, TOP
from limner.safety.watermark.pattern import Pattern
from limner.safety.watermark.spectrum import Spectrum

LARGEST_SCALE = 2.2
SMALLEST_SCALE = 0.45
"""Of the picture against the one that was marked: 50 to 200 % and some room for crops resized."""
_STEP = 0.45
"""Of a bin, at the mark's highest frequency: scales closer than that look alike."""
_APART = 1.5
"""Steps between candidates."""
CANDIDATES = 16
_OVERALL, _BY_LUMA = 10, 13
"""How many candidates are there after the best by all planes, and after the best by luma; the rest are by colour. 1.0
is always one: most pictures were not rescaled."""
MANY_FORMS = 4
"""The first candidates are tried in all eight forms, the others upright."""
_LONGLIST = 60


@dataclass(frozen=True)
class Form:
    """One of the eight ways to mirror and turn a picture: line (kx, ky) of the tile is found at
    (``sign_x`` * kx, ``sign_y`` * ky), or with x and y exchanged first if ``exchanged``."""

    sign_x: int
    sign_y: int
    exchanged: bool

    @property
    def mirrored(self) -> bool:
        """Whether the picture was mirrored (left to right, before it was turned)."""
        return (self.sign_x * self.sign_y < 0) != self.exchanged

    @property
    def turned(self) -> int:
        """Degrees by which it was then turned clockwise: 0, 90, 180 or 270."""
        # where the tile's downward direction went: down, left, up, right
        if not self.exchanged:
            return 0 if self.sign_y > 0 else 180
        return 90 if self.sign_x < 0 else 270


FORMS = tuple(Form(x, y, exchanged) for exchanged in (False, True) for x in (1, -1) for y in (1, -1))
TESTS = (((CANDIDATES - MANY_FORMS) + MANY_FORMS * len(FORMS)) * 49) * TILE**2
"""Tests one view can reach: surfaces x the 7 x 7 finer scales around each x offsets. ``detect.py`` sums over them."""


@dataclass(frozen=True)
class Place:
    """The best test: its ``score``, the inverse scales ``across`` and ``down``, the ``form``, the pilots' surface over
    all offsets and what was read there."""

    score: float
    across: float
    down: float
    form: Form
    surface: Plane
    lines: list[Lines]

    @property
    def offset(self) -> tuple[float, float]:
        """(x, y) of the peak in the tile, between its pixels by a parabola."""
        y, x = divmod(int(self.surface.argmax()), TILE)
        column, row = self.surface[:, x], self.surface[y]
        return x + _summit(row, x), y + _summit(column, y)


def find(pattern: Pattern, spectrum: Spectrum) -> Place:
    """The place in a picture where the pattern is most likely."""
    step = _STEP * TILE / (TOP * spectrum.longest)
    best: Place | None = None
    for number, scale in enumerate(candidates(spectrum, step)):
        best = _better(pattern, spectrum, best, (scale, scale), FORMS if number < MANY_FORMS else FORMS[:1])
    assert best is not None  # 1.0 is always a candidate
    for finer in (step / 2, step / 4):
        middle = best
        for right in (-finer, 0, finer):
            for lower in (-finer, 0, finer):
                if right or lower:
                    scales = (middle.across + right, middle.down + lower)
                    best = _better(pattern, spectrum, best, scales, (middle.form,))
    return best


def candidates(spectrum: Spectrum, step: float) -> list[float]:
    """Inverse scales worth a closer look, at most ``CANDIDATES``."""
    scales = np.arange(1 / LARGEST_SCALE, 1 / SMALLEST_SCALE, step)
    comb = spectrum.comb(scales.astype(np.float32))
    chosen = [1.0]
    rankings = ((comb.sum(0), _OVERALL), (comb[0], _BY_LUMA), (comb[1] + comb[2], CANDIDATES))
    for power, enough in rankings:
        for at in np.argsort(-power, kind="stable")[:_LONGLIST]:
            if len(chosen) >= enough:
                break
            if all(abs(scales[at] - other) > _APART * step for other in chosen):
                chosen.append(float(scales[at]))
    return chosen


def score_in_place(pattern: Pattern, spectrum: Spectrum) -> float:
    """The score of a picture that was not rescaled, turned or cropped: a single test."""
    return float(surface(pattern, spectrum.read(pattern, 1.0, 1.0), FORMS[0])[0, 0])


def surface(pattern: Pattern, lines: list[Lines], form: Form) -> Plane:
    """The score z for every offset in the tile: ``TILE`` x ``TILE``."""
    spectrum = np.zeros((TILE, TILE // 2 + 1), np.complex64)
    energy = 0.0
    for harmonics, read in zip(pattern.planes, lines, strict=True):
        kx, ky = harmonics.band.kx[harmonics.pilots], harmonics.band.ky[harmonics.pilots]
        value = harmonics.at(read, *_seen_at(form, kx, ky))
        energy += float(np.vdot(value, value).real)
        value *= harmonics.reference[harmonics.pilots].conj()
        backwards = kx < 0
        spectrum[np.where(backwards, -ky, ky) % TILE, np.abs(kx)] += np.where(backwards, value.conj(), value)
    total = np.fft.irfft2(spectrum, (TILE, TILE))
    return (total * (TILE * TILE / 2 / math.sqrt(energy / 2 + 1e-9))).astype(np.float32)


def payload(pattern: Pattern, place: Place) -> int | None:
    """What the data lines say at ``place``, if its check sum holds."""
    x, y = place.offset
    soft = np.zeros(code.SIGNS)
    used = 0
    for harmonics, read in zip(pattern.planes, place.lines, strict=True):
        kx, ky = harmonics.band.kx[harmonics.data], harmonics.band.ky[harmonics.data]
        value = harmonics.at(read, *_seen_at(place.form, kx, ky)) * harmonics.reference[harmonics.data].conj()
        value = value * np.exp(2j * np.pi * (kx * x + ky * y) / TILE)
        np.add.at(soft, pattern.slots[used : used + len(kx)], value.real)
        used += len(kx)
    return code.decode(soft)


def _better(
    pattern: Pattern,
    spectrum: Spectrum,
    best: Place | None,
    scales: tuple[float, float],
    forms: tuple[Form, ...],
) -> Place:
    lines = spectrum.read(pattern, *scales)
    for form in forms:
        over = surface(pattern, lines, form)
        score = float(over.max())
        if best is None or score > best.score:
            best = Place(score, *scales, form, over, lines)
    assert best is not None
    return best


def _seen_at(form: Form, kx: Ints, ky: Ints) -> tuple[Ints, Ints]:
    across, down = (ky, kx) if form.exchanged else (kx, ky)
    return form.sign_x * across, form.sign_y * down


def _summit(values: Plane, at: int) -> float:
    before, here, after = (float(values[(at + by) % TILE]) for by in (-1, 0, 1))
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend
