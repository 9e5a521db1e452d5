"""How the server and its worker process talk: frames of JSON and bytes over two pipes.

A frame is eight bytes of lengths (header, blob; big-endian), a JSON object with ``type``, and a blob (a preview).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, get_args

from pydantic import JsonValue

_LENGTHS = struct.Struct(">II")
MOST = 64 * 2**20

FrameType = Literal["ready", "beat", "run", "stop", "close", "tiding", "end"]
_TYPES = frozenset(get_args(FrameType))


@dataclass(frozen=True, slots=True)
class Frame:
    """To the worker: ``run`` {job, ask, made: {place: picture}}, ``stop`` {job}, ``close``. From it: ``ready``,
    ``beat``, ``tiding`` {job, what, data} with a preview as blob, ``end`` {job, state, error, result, fatal,
    trace}."""

    type: FrameType
    data: Mapping[str, JsonValue] = field(default_factory=dict)
    blob: bytes = b""


def packed(frame: Frame) -> bytes:
    head = json.dumps({"type": frame.type, **frame.data}, separators=(",", ":")).encode()
    return _LENGTHS.pack(len(head), len(frame.blob)) + head + frame.blob


def lengths(prefix: bytes) -> tuple[int, int]:
    """Of the header and the blob that follow. Raises ``ValueError`` where no worker wrote them."""
    head, blob = _LENGTHS.unpack(prefix)
    if head + blob > MOST:
        raise ValueError(f"a frame of {head + blob} bytes")
    return head, blob


PREFIX = _LENGTHS.size


def unpacked(head: bytes, blob: bytes) -> Frame:
    """A frame of its parts. Raises ``ValueError`` where it is none."""
    data = json.loads(head)
    if not isinstance(data, dict) or (kind := data.pop("type", None)) not in _TYPES:
        raise ValueError("a frame that no worker of this version wrote")
    return Frame(kind, data, blob)


def read(stream: BinaryIO) -> Frame | None:
    """The next frame; ``None`` at the end of the stream."""
    prefix = stream.read(PREFIX)
    if len(prefix) < PREFIX:
        return None
    head, blob = lengths(prefix)
    body = stream.read(head + blob)
    return None if len(body) < head + blob else unpacked(body[:head], body[head:])
