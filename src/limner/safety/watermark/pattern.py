"""A key made into harmonics and tiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from limner.safety.watermark import code
from limner.safety.watermark.arrays import Complexes, Ints, Lines, Plane, Reals
from limner.safety.watermark.bands import PLANES, REACH, TILE, Band, on_grid
from limner.safety.watermark.keys import TURN, Key, shipped

_GRAIN = 4096
"""Tiles are rounded to 1/4096: the last bits of a Fourier transform may differ between machines, the marked bytes may
not."""


@dataclass(frozen=True)
class Pattern:
    """``bands``: Y, Cb and Cr. ``references``: each band's lines as unit complex numbers. ``data``: which of them
    carry the payload (indices); the others are pilots. ``slots``: which of the code's signs each data line carries,
    over the planes in order. ``pilots``: the pilots' conjugate references on the grid (see ``arrays.Lines``), 0
    elsewhere."""

    bands: tuple[Band, ...]
    references: tuple[Complexes, ...]
    data: tuple[Ints, ...]
    slots: Ints
    pilots: Lines

    def tiles(self, payload: int) -> tuple[Plane, ...]:
        """The pattern of each plane that carries ``payload``: ``TILE`` x ``TILE``, mean 0, RMS 1."""
        signs = code.encode(payload)[self.slots]
        tiles, used = [], 0
        for band, reference, data in zip(self.bands, self.references, self.data, strict=True):
            lines = reference.copy()
            lines[data] *= signs[used : used + len(data)]
            used += len(data)
            tiles.append(_tile(band, lines))
        return tuple(tiles)

    def soft(self, lines: Lines, x: float, y: float) -> Reals:
        """What ``lines`` say of each of the code's signs, if the tile's peak lies at (x, y)."""
        out = np.zeros(code.SIGNS)
        used = 0
        for plane, band, reference, data in zip(lines, self.bands, self.references, self.data, strict=True):
            kx, ky = band.kx[data], band.ky[data]
            turned = reference[data].conj() * np.exp(2j * np.pi * (kx * x + ky * y) / TILE)
            value = plane[REACH + ky, REACH + kx] * turned
            np.add.at(out, self.slots[used : used + len(data)], value.real)
            used += len(data)
        return out


def _tile(band: Band, lines: Complexes) -> Plane:
    spectrum = np.zeros((TILE, TILE), np.complex128)
    spectrum[band.ky % TILE, band.kx % TILE] = lines
    spectrum[-band.ky % TILE, -band.kx % TILE] = lines.conj()
    tile: Reals = np.fft.ifft2(spectrum).real
    rounded: Reals = np.rint(tile * (_GRAIN / tile.std()))
    return (rounded / _GRAIN).astype(np.float32)


def pattern_of(key: Key) -> Pattern:
    """The pattern of a key."""
    references, data, pilots = [], [], []
    for band, phases, known in zip(PLANES, key.phases, key.pilots, strict=True):
        reference = np.exp(2j * np.pi * phases / TURN)
        unknown = np.setdiff1d(np.arange(len(phases)), known)
        conjugate = reference.conj()
        conjugate[unknown] = 0
        references.append(reference)
        data.append(unknown)
        pilots.append(on_grid(band, conjugate))
    return Pattern(PLANES, tuple(references), tuple(data), key.slots, np.stack(pilots).astype(np.complex64))


@cache
def shipped_pattern() -> Pattern:
    """The pattern that marks are made and found with."""
    return pattern_of(shipped())


@lru_cache(maxsize=8)
def shipped_tiles(payload: int) -> tuple[Plane, ...]:
    """``shipped_pattern().tiles(payload)``, the last few kept."""
    return shipped_pattern().tiles(payload)
