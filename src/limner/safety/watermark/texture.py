"""How strong the mark may be at each pixel: little where the eye would see it, more where texture hides it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from limner.safety.watermark.arrays import Plane, least_filter, mean_filter
from limner.safety.watermark.bands import CB, CR, LUMA, Band
from limner.safety.watermark.colour import luma

_WINDOW = 9
"""Pixels. Half the finest wavelength of the mark's luma is 3.4; a window of 9 sees the texture that hides it."""
_NEAR_LIMIT = 1.4
"""Near 0 and 255 clipping takes nearly half of the pattern; this gives some back."""
_INSIDE = (2, 253)


def strengths(rgb: Sequence[Plane], even: float = 1.0) -> tuple[Plane, Plane, Plane]:
    """RMS strength of the mark's Y, Cb and Cr at each pixel, in steps of 1/255, for channels of 0 to 255. ``even``: the
    share of it that is kept where there is no texture."""
    texture = _texture(luma(rgb))
    red, green, blue = (_near_limit(channel) for channel in rgb)
    any_near = np.maximum(np.maximum(red, green), blue)
    return (
        _strength(LUMA, texture, even) * any_near,
        _strength(CB, texture, even) * blue,
        _strength(CR, texture, even) * red,
    )


def _texture(y: Plane) -> Plane:
    """Local deviation of the luma. Its least value over the window is taken, so that a lone edge does not raise the
    strength of the even areas beside it, where the mark would show as a halo; then smoothed."""
    high = y - mean_filter(y, _WINDOW)
    high *= high
    deviation = np.sqrt(np.maximum(mean_filter(high, _WINDOW), 0))
    return mean_filter(least_filter(deviation, _WINDOW), _WINDOW)


def _strength(band: Band, texture: Plane, even: float) -> Plane:
    out: Plane = texture * np.float32(band.by_texture)
    out += np.float32(band.flat * even)
    return np.minimum(out, np.float32(band.most), out=out)


def _near_limit(channel: Plane) -> Plane:
    outside = (channel < _INSIDE[0]) | (channel > _INSIDE[1])
    return np.where(outside, np.float32(_NEAR_LIMIT), np.float32(1))
