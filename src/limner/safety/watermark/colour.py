"""Between RGB and the planes that codecs keep (ITU-R BT.601, full range, as JPEG)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from limner.errors import InvalidRequest
from limner.safety.watermark.arrays import Plane
from limner.types.base import Pixels


def checked(pixels: Pixels) -> Pixels:
    """``pixels``, where they are height x width x 3 of uint8 with at least one pixel; raises ``InvalidRequest``
    else."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        found = f"{'x'.join(map(str, pixels.shape))} {pixels.dtype}"
        raise InvalidRequest(
            f"a watermark goes into height x width x 3 pixels of uint8, not {found}",
            field="pixels",
            hint="convert the picture to RGB first",
        )
    return pixels


def channels(pixels: Pixels) -> Sequence[Plane]:
    """Red, green and blue as planes of their own."""
    return [pixels[:, :, channel].astype(np.float32) for channel in range(3)]


def luma(rgb: Sequence[Plane]) -> Plane:
    """The plane Y of three channels."""
    red, green, blue = rgb
    out: Plane = red * np.float32(0.299)
    out += green * np.float32(0.587)
    out += blue * np.float32(0.114)
    return out


def differences(rgb: Sequence[Plane], y: Plane) -> tuple[Plane, Plane]:
    """The planes Cb and Cr (around 0) of three channels and their luma."""
    red, _, blue = rgb
    return (blue - y) * np.float32(1 / 1.772), (red - y) * np.float32(1 / 1.402)


def mixed(y: Plane, cb: Plane, cr: Plane) -> tuple[Plane, Plane, Plane]:
    """Red, green and blue of the three planes."""
    red: Plane = y + np.float32(1.402) * cr
    green: Plane = y - np.float32(0.344136) * cb
    green -= np.float32(0.714136) * cr
    blue: Plane = y + np.float32(1.772) * cb
    return red, green, blue
