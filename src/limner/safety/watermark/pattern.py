"""A key made into harmonics and tiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np

from limner.safety.watermark import code
from limner.safety.watermark.arrays import Complexes, Ints, Lines, Plane, Reals
from limner.safety.watermark.bands import PLANES, TILE, Band
from limner.safety.watermark.keys import TURN, Key, shipped

_GRAIN = 4096
"""Tiles are rounded to 1/4096: the last bits of a Fourier transform may differ between machines, the marked bytes may
not."""


@dataclass(frozen=True)
class Harmonics:
    """One plane's lines: where they are (``band``), their phases as unit complex numbers (``reference``), and which of
    them are pilots and which carry data (indices)."""

    band: Band
    reference: Lines
    pilots: Ints
    data: Ints

    @cached_property
    def _place(self) -> Ints:
        """Which line lies at each (ky, kx), counted from the middle: 1 + its index, negative for a conjugate, 0
        none."""
        reach = int(max(np.abs(self.band.kx).max(), self.band.ky.max()))
        table = np.zeros((2 * reach + 1, 2 * reach + 1), np.int64)
        number = np.arange(1, len(self.band.kx) + 1)
        table[reach + self.band.ky, reach + self.band.kx] = number
        table[reach - self.band.ky, reach - self.band.kx] = -number
        return table

    def at(self, lines: Lines, kx: Ints, ky: Ints) -> Lines:
        """``lines`` read at other harmonics (of a mirrored or turned picture); 0 where there is none."""
        reach = len(self._place) // 2
        place = self._place[reach + ky, reach + kx]
        found = lines[np.abs(place) - 1]
        return np.where(place == 0, 0, np.where(place < 0, found.conj(), found)).astype(np.complex64)


@dataclass(frozen=True)
class Pattern:
    """``planes``: Y, Cb, Cr. ``slots``: which of the code's signs each data line carries, over the planes in order."""

    planes: tuple[Harmonics, ...]
    slots: Ints

    def tiles(self, payload: int) -> tuple[Plane, ...]:
        """The pattern of each plane that carries ``payload``: ``TILE`` x ``TILE``, mean 0, RMS 1."""
        signs = code.encode(payload)[self.slots]
        tiles, used = [], 0
        for plane in self.planes:
            lines = plane.reference.astype(np.complex128)
            lines[plane.data] *= signs[used : used + len(plane.data)]
            used += len(plane.data)
            tiles.append(_tile(plane.band, lines))
        return tuple(tiles)


def _tile(band: Band, lines: Complexes) -> Plane:
    spectrum = np.zeros((TILE, TILE), np.complex128)
    spectrum[band.ky % TILE, band.kx % TILE] = lines
    spectrum[-band.ky % TILE, -band.kx % TILE] = lines.conj()
    tile: Reals = np.fft.ifft2(spectrum).real
    rounded: Reals = np.rint(tile * (_GRAIN / tile.std()))
    return (rounded / _GRAIN).astype(np.float32)


def pattern_of(key: Key) -> Pattern:
    """The pattern of a key."""
    planes = []
    for band, phases, pilots in zip(PLANES, key.phases, key.pilots, strict=True):
        reference = np.exp(2j * np.pi * phases / TURN).astype(np.complex64)
        data = np.setdiff1d(np.arange(len(phases)), pilots)
        planes.append(Harmonics(band, reference, pilots, data))
    return Pattern(tuple(planes), key.slots)


@cache
def shipped_pattern() -> Pattern:
    """The pattern that marks are made and found with."""
    return pattern_of(shipped())


@lru_cache(maxsize=8)
def shipped_tiles(payload: int) -> tuple[Plane, ...]:
    """``shipped_pattern().tiles(payload)``, the last few kept."""
    return shipped_pattern().tiles(payload)
