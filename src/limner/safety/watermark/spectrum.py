"""What the detector sees: each plane's spectrum, freed of the picture as far as it can be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from limner.safety.watermark.arrays import Complexes, Ints, Lines, Plane, Reals, halved, mean_filter
from limner.safety.watermark.bands import PLANES, REACH, TILE, Band, on_grid
from limner.safety.watermark.colour import channels, differences, luma
from limner.types.base import Pixels

_HIGH_PASS = 13
"""Pixels of the local mean that is taken away: it keeps wavelengths to about twice that, all of the mark's."""
_LOCAL = 11
"""Pixels of the square over which a picture's own variance is taken."""
_OUTLIER = 4.0
"""Local deviations at which a pixel is cut: an edge must not ring through the whole spectrum."""
_TAPER = 0.10
"""Share of a side, half of it at each end, over which the picture is faded out."""
_SMALLEST_TRANSFORM = 256
"""Small pictures are padded, so that the grid of frequencies is finer than the comb's step."""
_BACKGROUND = 11
"""Bins of the square whose geometric mean is taken for the picture's own power around a line."""
_GEOMETRIC = 0.5772156649
"""Power of noise is exponentially distributed: its geometric mean is exp(-this) of its mean."""
_COMB_LIMIT = 8.0
"""A line's power counts up to this many times its surroundings: a picture with a few strong lines of its own (a
grating) must not look like a comb."""
_LIMIT = 3.5
"""A line's amplitude counts up to this many times its surroundings, for the same reason; so a score ends at about
26."""
_LEAST_WEIGHT = 0.15
"""Of a ring whose power is no more than its surroundings': it may still hold a little."""


@dataclass(frozen=True)
class _Plane:
    """``lines``: the whitened half spectrum; ``power``: its clipped power. ``rows``, ``columns``: the plane's size,
    ``padded_rows``, ``padded_columns``: the transform's."""

    lines: Lines
    power: Plane
    rows: int
    columns: int
    padded_rows: int
    padded_columns: int


class Spectrum:
    """The spectra of a picture's Y, Cb and Cr (height x width x 3, uint8, 4 x 4 or more).

    ``longest``: the longer side of the luma's transform, which decides how finely scales must be tried.
    """

    def __init__(self, pixels: Pixels) -> None:
        rgb = channels(pixels)
        y = luma(rgb)
        cb, cr = (halved(plane) for plane in differences(rgb, y))
        self._planes = [_plane(band, x) for band, x in zip(PLANES, (y, cb, cr), strict=True)]
        self.longest = max(self._planes[0].padded_rows, self._planes[0].padded_columns)

    def comb(self, inverse_scales: Plane) -> Plane:
        """The power under each plane's comb of lines for each inverse scale: 3 x scales. It uses no phases, so it
        cannot tell the key from another, and costs nothing in false alarms."""
        return np.stack([_comb(band, held, inverse_scales) for band, held in zip(PLANES, self._planes, strict=True)])

    def read(self, across: Reals, down: Reals) -> Lines:
        """The lines where the tile is 1/``across`` x 1/``down`` of its size, for several such sizes at once (the first
        axis of the answer). Limited and weighted by magnitudes only: for uniform random phases of the key, the sum over
        any chosen lines is then bounded by their energy."""
        out = np.empty((len(across), len(PLANES), 2 * REACH + 1, 2 * REACH + 1), np.complex64)
        for number, (band, held) in enumerate(zip(PLANES, self._planes, strict=True)):
            out[:, number] = on_grid(band, _read(band, held, across, down))
        return out


def _plane(band: Band, x: Plane) -> _Plane:
    rows, columns = x.shape
    padded = [_fast_length(max(size, _SMALLEST_TRANSFORM)) for size in (rows, columns)]
    lines = np.fft.rfft2(_residual(band, x), padded).astype(np.complex64, copy=False)
    power = lines.real**2
    power += lines.imag**2
    background = np.exp(mean_filter(np.log(power + np.float32(1e-20)), _BACKGROUND) + np.float32(_GEOMETRIC))
    background += np.float32(1e-12)
    power /= background
    lines /= np.sqrt(background)
    return _Plane(lines, np.minimum(power, np.float32(_COMB_LIMIT), out=power), rows, columns, padded[0], padded[1])


def _residual(band: Band, x: Plane) -> Plane:
    """``x`` without its local mean, each pixel weighted as a Wiener filter would: by the strength the mark has there
    over the variance that the picture has. Outliers are cut, the edges faded out."""
    high = x - mean_filter(x, _HIGH_PASS)
    variance = np.maximum(mean_filter(high * high, _LOCAL), 0)
    deviation = np.sqrt(variance)
    weight: Plane = deviation * np.float32(band.by_texture)
    weight += np.float32(band.flat)
    weight /= variance + np.float32(band.noise)
    high *= weight
    deviation *= weight
    deviation *= np.float32(_OUTLIER)
    deviation += np.float32(1e-6)
    np.clip(high, -deviation, deviation, out=high)
    high *= _fade(x.shape[0])[:, None]
    high *= _fade(x.shape[1])
    return high


def _comb(band: Band, held: _Plane, inverse_scales: Plane) -> Plane:
    down = np.rint(np.outer(inverse_scales, band.ky * (held.padded_rows * band.reduced / TILE))).astype(np.int32)
    across = np.rint(np.outer(inverse_scales, band.kx * (held.padded_columns * band.reduced / TILE))).astype(np.int32)
    down = np.where(across < 0, -down, down)
    across = np.abs(across)
    outside = (across >= held.power.shape[1]) | (2 * np.abs(down) >= held.padded_rows)
    across[outside] = 0
    power = held.power[down % held.padded_rows, across]
    power[outside] = 1.0
    total: Plane = power.sum(1)
    return total


def _read(band: Band, held: _Plane, across: Reals, down: Reals) -> Complexes:
    """Sizes x harmonics."""
    # the middle of a halved plane's first pixel lies between two pixels of the picture
    shift = (band.reduced - 1) / 2 / band.reduced
    row, row_form = _around(down * (band.reduced / TILE), shift, held.rows, held.padded_rows)
    column, column_form = _around(across * (band.reduced / TILE), shift, held.columns, held.padded_columns)
    ky, kx = REACH + band.ky, REACH + band.kx
    value = np.zeros((len(across), len(ky)), np.complex128)
    for i in (0, 1):
        for j in (0, 1):
            bins = _bins(held, row[i][:, ky], column[j][:, kx])
            value += bins * (row_form[i][:, ky] * column_form[j][:, kx])
    amplitude = np.abs(value)
    value *= _ring_weight(band, amplitude) * np.minimum(amplitude, _LIMIT) / np.maximum(amplitude, 1e-9)
    return value


def _around(cycles: Reals, shift: float, length: int, padded: int) -> tuple[Ints, Complexes]:
    """Along one axis, for the harmonics -REACH to REACH of each of ``cycles`` a pixel: the bins below and above (2 x
    cycles x harmonics), and the conjugate of how a line of ``length`` pixels looks there in a transform of ``padded``,
    of norm 1 and its phase taken ``shift`` pixels before the first. The spectrum between its bins is a sum of
    products."""
    harmonic = np.outer(cycles, np.arange(-REACH, REACH + 1))
    below = np.floor(harmonic * padded).astype(np.int64)
    bins = np.stack([below, below + 1])
    away = bins - harmonic * padded
    form: Complexes = np.sinc(away * (length / padded)) * np.exp(away * (1j * np.pi * (length - 1) / padded))
    form /= np.sqrt((np.abs(form) ** 2).sum(0))
    form *= np.exp(-2j * np.pi * shift * harmonic)
    return bins, form


def _bins(held: _Plane, row: Ints, column: Ints) -> Lines:
    """Bins of the whole spectrum, read from the half that is held; 0 outside."""
    mirrored = column < 0
    outside = (np.abs(column) >= held.lines.shape[1]) | (2 * np.abs(row) >= held.padded_rows)
    value: Lines = held.lines[np.where(mirrored, -row, row) % held.padded_rows, np.where(outside, 0, np.abs(column))]
    np.conj(value, out=value, where=mirrored)
    value[outside] = 0
    return value


def _ring_weight(band: Band, amplitude: Reals) -> Reals:
    """What scaling and codecs left of each ring: its power above the surroundings', as a share."""
    member = (band.ring[:, None] == np.arange(3)).astype(np.float64)
    power = amplitude**2 @ (member / member.sum(0))
    weight = np.maximum((power - 1) / np.maximum(power, 1e-6), _LEAST_WEIGHT)
    spread: Reals = weight[:, band.ring]
    return spread


@lru_cache(maxsize=16)
def _fade(length: int) -> Plane:
    """A cosine from 0 to 1 over the first and last twentieth: a picture's edges are no lines of its own."""
    out = np.ones(length, np.float32)
    edge = min(max(2, int(_TAPER * length / 2)), length // 2)
    out[:edge] = 0.5 * (1 - np.cos(np.pi * (np.arange(edge) + 0.5) / edge)) if edge else 1
    out[length - edge :] = out[:edge][::-1]
    out.flags.writeable = False
    return out


def _fast_length(length: int) -> int:
    """The next length with no prime factor above 5, where Fourier transforms are fast."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1
