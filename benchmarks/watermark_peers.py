"""invisible-watermark's weight-free methods on the same pictures (``pip install invisible-watermark``; its 48 bits are
called present from 41 right on, which chance does in 3 of ten million pictures)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from limner.types.base import Pixels

METHODS = ("dwtDct", "dwtDctSvd")
_BITS = [int(bit) for bit in f"{0x5A3C96E1B478:048b}"]
_ENOUGH = 41

Embedder = Callable[[Pixels], Pixels]
Finder = Callable[[Pixels], bool]


def available() -> bool:
    return find_spec("imwatermark") is not None


def peer(method: str) -> tuple[Embedder, Finder]:
    """Marking and finding by one of its methods; raises what it raises."""
    library = import_module("imwatermark")

    def embed(pixels: Pixels) -> Pixels:
        encoder = library.WatermarkEncoder()
        encoder.set_watermark("bits", _BITS)
        marked: Pixels = encoder.encode(np.ascontiguousarray(pixels[:, :, ::-1]), method)
        return np.ascontiguousarray(np.clip(marked, 0, 255).astype(np.uint8)[:, :, ::-1])

    def find(pixels: Pixels) -> bool:
        if min(pixels.shape[:2]) < 256:
            return False  # it refuses smaller pictures
        read = library.WatermarkDecoder("bits", len(_BITS)).decode(np.ascontiguousarray(pixels[:, :, ::-1]), method)
        return sum(int(bool(a)) == b for a, b in zip(read, _BITS, strict=True)) >= _ENOUGH

    return embed, find
