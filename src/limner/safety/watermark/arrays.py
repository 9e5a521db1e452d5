"""The arrays the watermark is made of, and the sliding windows over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.float32]
"""Height x width, one value a pixel, in steps of 1/255 (so 0 to 255)."""
Lines: TypeAlias = NDArray[np.complex64]
"""(... x) planes x frequencies x frequencies: complex amplitudes of the tile's harmonics from -18 to 18 cycles a tile
down and across, the constant in the middle; 0 where the mark has no line. Of a real picture, so conjugate about the
middle."""
Ints: TypeAlias = NDArray[np.int64]
Reals: TypeAlias = NDArray[np.float64]
Complexes: TypeAlias = NDArray[np.complex128]

_Pair = Callable[[Plane, Plane], Plane]


def mean_filter(x: Plane, width: int) -> Plane:
    """The mean of each ``width`` x ``width`` neighbourhood; the picture is mirrored at its edges. ``width`` is odd."""
    total = _windows(np.add, _windows(np.add, _mirrored(x, width // 2), width, 0), width, 1)
    total *= np.float32(1 / width**2)
    return total


def least_filter(x: Plane, width: int) -> Plane:
    """The least value of each ``width`` x ``width`` neighbourhood (an erosion); edges as in ``mean_filter``."""
    return _windows(np.minimum, _windows(np.minimum, _mirrored(x, width // 2), width, 0), width, 1)


def halved(x: Plane) -> Plane:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    rows: Plane = x[0:height:2, :width] + x[1:height:2, :width]
    out: Plane = rows[:, 0::2] + rows[:, 1::2]
    out *= np.float32(0.25)
    return out


def _mirrored(x: Plane, by: int) -> Plane:
    return np.pad(x, by, mode="symmetric")


def _windows(pair: _Pair, x: Plane, width: int, axis: int) -> Plane:
    """``pair`` folded over every ``width`` neighbours along ``axis``.

    By doubling (windows of 1, 2, 4, 8 put together as the bits of ``width`` say): fewer passes than one a neighbour,
    and without the rounding that a running sum over a whole row gathers in float32."""

    def part(of: Plane, start: int, length: int) -> Plane:
        return of[start : start + length] if axis == 0 else of[:, start : start + length]

    length = x.shape[axis] - width + 1
    out: Plane | None = None
    start, span = 0, 1
    while True:
        if width & span:
            piece = part(x, start, length)
            out = piece if out is None else pair(out, piece)
            start += span
        if 2 * span > width:
            return piece if out is None else out
        rest = x.shape[axis] - span
        x, span = pair(part(x, 0, rest), part(x, span, rest)), 2 * span
