"""Many pictures as one: a strip side by side, and an animation there and back."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

if TYPE_CHECKING:
    from limner.types import Pixels

WIDEST = 8_192  # pixels; a longer strip goes on in a row below
FRAME_MS = 120
# IPTC's Digital Source Type: these files have no Record of their own, but say how they were made all the same.
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{SOURCE}"/></rdf:RDF></x:xmpmeta>'
)


def strip(pictures: Sequence[Pixels], *, marked: bool = True) -> bytes:
    """PNG bytes of pictures of one size (H x W x 3 uint8), side by side, in rows of at most 8192 pixels; ``marked``
    with the source type."""
    height, width = pictures[0].shape[:2]
    columns = min(len(pictures), max(1, WIDEST // width))
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for k, pixels in enumerate(pictures):
        y, x = k // columns * height, k % columns * width
        sheet[y : y + height, x : x + width] = pixels
    chunks = PngInfo()
    if marked:
        chunks.add_itxt("XML:com.adobe.xmp", XMP)
    out = BytesIO()
    Image.fromarray(sheet).save(out, "PNG", pnginfo=chunks)
    return out.getvalue()


def animation(pictures: Sequence[Pixels], *, milliseconds: int = FRAME_MS, marked: bool = True) -> bytes:
    """Animated WebP bytes, there and back, for ever. ``milliseconds`` a frame, the two ends three times that."""
    frames = [Image.fromarray(pixels) for pixels in (*pictures, *reversed(pictures[1:-1]))]
    held = [milliseconds] * len(frames)
    held[0] = held[len(pictures) - 1] = 3 * milliseconds
    out = BytesIO()
    options = {"save_all": True, "append_images": frames[1:], "duration": held, "loop": 0, "quality": 90, "method": 2}
    frames[0].save(out, "WEBP", xmp=XMP.encode() if marked else b"", **options)
    return out.getvalue()
