"""Looking for the pattern: at which scale, at which place in the tile, mirrored or turned.

First the scale from magnitudes alone (``Spectrum.comb``), then for each candidate the place: one inverse Fourier
transform of the pilots, freed of their phases, gives the score of every offset at once.

The score of one test (one scale, one form, one offset) is z = S / sqrt(E/2), with S the real part of the sum of the
pilots' values times their conjugate phases and E their energy. Values and weights depend on magnitudes only. So for a
picture that does not know the key, and phases drawn uniformly, S is a sum of a * cos(phase) with fixed a; the mean of
exp(t * a * cos(phase)) is I0(t * a) <= exp(t**2 * a**2 / 4), and Chernoff's bound is

    P(z > x) <= exp(-x**2 / 2)

whatever the picture is: stripes, text or noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from limner.safety.watermark import code
from limner.safety.watermark.arrays import Lines, Plane
from limner.safety.watermark.bands import REACH, TILE, TOP
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

    def undone(self, lines: Lines) -> Lines:
        """Each line of the tile as it is seen in the picture."""
        flipped = lines[..., :: self.sign_y, :: self.sign_x]
        return flipped.swapaxes(-1, -2) if self.exchanged else flipped

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
    """The best test: its ``score``, the inverse scales ``across`` and ``down``, the ``form``, the pilots' ``surface``
    over all offsets and the tile's ``lines`` as read there (planes x frequencies x frequencies)."""

    score: float
    across: float
    down: float
    form: Form
    surface: Plane
    lines: Lines

    @property
    def offset(self) -> tuple[float, float]:
        """(x, y) of the peak in the tile, between its pixels by a parabola."""
        y, x = divmod(int(self.surface.argmax()), TILE)
        column, row = self.surface[:, x], self.surface[y]
        return x + _summit(row, x), y + _summit(column, y)


def find(pattern: Pattern, spectrum: Spectrum) -> Place:
    """The place in a picture where the pattern is most likely."""
    step = _STEP * TILE / (TOP * spectrum.longest)
    scales = np.array(candidates(spectrum, step))
    every = spectrum.read(scales, scales)
    tried = [(at, form) for at in range(len(scales)) for form in (FORMS if at < MANY_FORMS else FORMS[:1])]
    lines = np.stack([form.undone(every[at]) for at, form in tried])
    best = _best(pattern, lines, [(scales[at], scales[at], form) for at, form in tried])
    for finer in (step / 2, step / 4):
        around = [
            (best.across + right * finer, best.down + lower * finer)
            for right in (-1, 0, 1)
            for lower in (-1, 0, 1)
            if right or lower
        ]
        across, down = np.array(around).T
        lines = best.form.undone(spectrum.read(across, down))
        nearby = _best(pattern, lines, [(*scale, best.form) for scale in around])
        best = max(best, nearby, key=lambda place: place.score)
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
    return float(surfaces(pattern, spectrum.read(np.ones(1), np.ones(1)))[0, 0, 0])


def surfaces(pattern: Pattern, lines: Lines) -> Plane:
    """The score z for every offset in the tile (n x ``TILE`` x ``TILE``), for n readings of the tile's lines."""
    value = lines * pattern.pilots
    flat = value.reshape(len(value), -1)
    energy = (flat.real**2 + flat.imag**2).sum(1) / 2  # the grid holds each line twice
    total = value.sum(1)
    spectrum = np.zeros((len(value), TILE, TILE // 2 + 1), np.complex64)
    spectrum[:, : REACH + 1, : REACH + 1] = total[:, REACH:, REACH:]
    spectrum[:, -REACH:, : REACH + 1] = total[:, :REACH, REACH:]
    spectrum *= (TILE * TILE / 2 / np.sqrt(energy / 2 + 1e-9)).astype(np.float32)[:, None, None]
    return np.fft.irfft2(spectrum, (TILE, TILE)).astype(np.float32, copy=False)


def payload(pattern: Pattern, place: Place) -> int | None:
    """What the data lines say at ``place``, if its check sum holds."""
    return code.decode(pattern.soft(place.lines, *place.offset))


def _best(pattern: Pattern, lines: Lines, tests: list[tuple[float, float, Form]]) -> Place:
    """The best of several readings, the first of equals; ``tests``: inverse scale across, down and form of each."""
    over = surfaces(pattern, lines)
    peaks = over.reshape(len(over), -1).max(1)
    at = int(peaks.argmax())
    across, down, form = tests[at]
    return Place(float(peaks[at]), float(across), float(down), form, over[at].copy(), lines[at])


def _summit(values: Plane, at: int) -> float:
    before, here, after = (float(values[(at + by) % TILE]) for by in (-1, 0, 1))
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend
