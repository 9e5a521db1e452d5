"""What a mark says, and what happens to a picture that has one already."""

from __future__ import annotations

import hashlib
import math
import re

from limner.safety.watermark.detect import detect
from limner.safety.watermark.embed import CLEAR, Marked, embed
from limner.types.base import Pixels

VERSION = 1
"""Of the payload's meaning, in its highest four bits."""
_DIGITS = 7


def payload_of(image_key: str) -> int:
    """The 32 bits that mark the picture with this key: four of version, and the first seven hexadecimal digits (28
    bits) of the key's hash, so that a payload can be looked up by the beginning of the key. Keys that are no tagged
    hash are hashed first. 28 bits tell a person's pictures apart, not the world's: two of 20,000 share theirs with
    probability one half. It is a pointer to a record, never a proof of one."""
    digest = image_key.rpartition(":")[2]
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        digest = hashlib.sha256(image_key.encode()).hexdigest()
    return VERSION << 28 | int(digest[:_DIGITS], 16)


def remark(pixels: Pixels, payload: int, *, gentle: bool = False) -> Marked:
    """``embed`` for a picture that was made from another (image to image, inpainting, upscaling) and may carry its
    mark.

    A mark that is read clearly stays as it is: ``pixels`` come back unchanged, ``payload`` is the one found,
    ``strength`` 0 and ``why_not`` says so. A second one over it would be found too, but which of the two payloads is
    read then is a matter of chance. Else ``payload`` is embedded."""
    found = detect(pixels)
    if found.payload is not None and found.score >= CLEAR:
        why = "it carries the watermark of the picture it was made from"
        return Marked(pixels.copy(), found.payload, 0.0, math.inf, found.score, True, why)
    return embed(pixels, payload, gentle=gentle)
