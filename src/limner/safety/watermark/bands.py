"""Which frequencies the mark uses, plane by plane, and how strong it is there.

The mark is periodic with a tile of 125 pixels, so its spectrum is lines at whole multiples of 1/125 cycles a pixel: one
Fourier transform of any part of the picture, at any size, shows a comb of lines whose spacing tells the scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from limner.safety.watermark.arrays import Complexes, Ints

TILE = 125
"""Pixels. Odd on purpose: the blocks of codecs (4, 8, 16 pixels) meet each tile at another phase, so their errors
average out over the tiles instead of adding up. Against 128 at equal strength the score rose from 8.4 to 15.6 (flat
grey, JPEG 50)."""


@dataclass(frozen=True)
class Band:
    """The harmonics of one plane and the strength of the mark in it.

    ``kx``, ``ky``: cycles a tile, a half-plane (the other half is the conjugate of a real pattern). ``ring``: which
    third of the band's radius a harmonic lies in. ``reduced``: pixels of the picture to one of the plane, a side.
    Strength in steps of 1/255, RMS: ``flat`` where there is no texture, and ``by_texture`` more for each step of local
    deviation, but at most ``most``. ``noise``: the variance, in the detector's plane, that even an even area has
    (rounding, codecs)."""

    kx: Ints
    ky: Ints
    ring: Ints
    reduced: int
    flat: float
    by_texture: float
    most: float
    noise: float


def _band(
    least: float, most: float, off_axis: int, reduced: int, strength: tuple[float, float, float], noise: float
) -> Band:
    """Harmonics of radius ``least`` to ``most``, ``off_axis`` or more from both axes, where pictures' own edges and the
    window's leak."""
    ky, kx = np.mgrid[0 : int(most) + 1, -int(most) : int(most) + 1]
    radius = np.hypot(kx, ky)
    used = (radius >= least) & (radius <= most) & (abs(kx) >= off_axis) & (ky >= off_axis)
    ring = np.minimum((3 * (radius[used] - least) / (most - least)).astype(np.int64), 2)
    return Band(kx[used], ky[used], ring, reduced, *strength, noise)


LUMA = _band(8.0, 18.5, 2, 1, (0.65, 0.14, 4.5), 2.0)
"""Radius to 18.5/125 = 0.15 cycles a pixel: low enough to outlive quantisers and halving; from 8/125, above most of the
picture's own power and above what the eye sees best on a smooth backdrop."""
CB = _band(3.0, 8.6, 1, 2, (1.3, 0.05, 2.6), 1.5)
CR = _band(3.0, 8.6, 1, 2, (1.2, 0.04, 2.0), 1.5)
"""Colour: lower frequencies, since codecs halve these planes and quantise them harder; stronger, since the eye hardly
sees it there."""
PLANES = (LUMA, CB, CR)
TOP = 18.5
"""The mark's highest radius, cycles a tile: what the step of the search over scales follows from."""
REACH = int(TOP)
"""Grids of lines reach this many cycles a tile from their middle."""


def on_grid(band: Band, lines: Complexes) -> Complexes:
    """The lines (..., harmonics) of a half-plane, and their conjugates, on a grid of frequencies (see
    ``arrays.Lines``)."""
    grid = np.zeros((*lines.shape[:-1], 2 * REACH + 1, 2 * REACH + 1), np.complex128)
    grid[..., REACH + band.ky, REACH + band.kx] = lines
    grid[..., REACH - band.ky, REACH - band.kx] = lines.conj()
    return grid
