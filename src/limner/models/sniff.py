"""Telling model files apart by their first bytes. Nothing is executed: pickles are only read opcode by opcode."""

from __future__ import annotations

import io
import pickletools
import re
import struct
import warnings
from typing import Literal

Kind = Literal["safetensors", "pickle", "zip-pickle", "gguf", "unknown"]

SNIFFED = 1 << 16
"""How many of a file's first bytes :func:`kind_of` wants."""

_CALLABLE = re.compile(r"^[\w.]+ [\w.<>]+$")
_PLAUSIBLE_HEADER = 1 << 40


_PICTURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
)


def picture_of(start: bytes) -> str | None:
    """The format's name where the file that begins with ``start`` is a picture."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    if start[4:12] in (b"ftypavif", b"ftypheic"):
        return "AVIF or HEIC"
    return next((title for mark, title in _PICTURES if start.startswith(mark)), None)


def kind_of(start: bytes) -> Kind:
    """The kind of file that begins with ``start``.

    Any zip archive counts as ``zip-pickle``, since that is how torch packs pickles; so does a tar as ``pickle``, which
    torch did before.
    """
    if start.startswith(b"GGUF"):
        return "gguf"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return "zip-pickle"
    # Eight bytes of length and an opening brace. The length is looked at too, because a pickle may have a brace there.
    braced = start[8:9] == b"{"
    if braced and int.from_bytes(start[:8], "little") < _PLAUSIBLE_HEADER:
        return "safetensors"
    if start[257:262] == b"ustar" or _is_pickle(start):
        return "pickle"
    return "safetensors" if braced else "unknown"


def _is_pickle(start: bytes) -> bool:
    if start[:1] == b"\x80" and start[1:2] <= b"\x05" and len(start) > 1:
        return True
    # Protocols 0 and 1 have no mark: what reaches a stop or names something to import is taken for a pickle.
    seen = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for opcode, argument, _ in pickletools.genops(io.BytesIO(start)):
                seen += 1
                if opcode.name in ("GLOBAL", "INST") and _CALLABLE.match(str(argument)):
                    return True
                if opcode.name in ("STOP", "PROTO", "REDUCE", "STACK_GLOBAL"):
                    return seen > 1
    except (ValueError, ArithmeticError, LookupError, EOFError, struct.error):
        return False
    return False
