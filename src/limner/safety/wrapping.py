"""Is the wrapping of a manifest as Limner writes it?

C2PA's hashes leave out the manifest itself, and its signature leaves out how the manifest is packed: a kilobyte of
padding behind the signature, lengths and types of boxes (JUMBF, ISO 19566-5), a PNG chunk's check sum. A bit that flips
there changes nothing that the manifest says, and the official reader passes it; but the file is not as it was signed.
For files that say they are Limner's, what is left out of the hashes is compared with what we write: nothing else is
there to be changed unseen (``tests/unit/safety/test_credentials.py`` flips every bit).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator, Mapping

from limner.safety.credentials import Format

_SUFFIX = bytes.fromhex("00110010800000aa00389b71")
_KINDS: Mapping[bytes, bytes] = {
    b"c2pa": b"c2pa",
    b"c2ma": b"c2ma",
    b"c2pa.assertions": b"c2as",
    b"c2pa.claim.v2": b"c2cl",
    b"c2pa.signature": b"c2cs",
}
_PARTS = (b"c2pa.assertions", b"c2pa.claim.v2", b"c2pa.signature")
_TOGGLES = (0x03, 0x13)  # requestable, labelled; and with a salt
_JPEG_INSTANCE = 0x0211
_UNSIGNED = ("sigTst", "sigTst2", "rVals")  # time stamps and revocation lists vouch for themselves


class _OtherwiseError(Exception):
    """Something is not as we write it."""


def is_as_written(data: bytes, format: Format, ours: Collection[str]) -> bool:
    """Whether the manifests labelled ``ours`` are wrapped to the last byte as Limner does. False where one is not
    there.

    Manifests of a start picture's that other programs signed are as those wrote them: their padding is not looked at.
    """
    try:
        store = {"png": _in_png, "jpeg": _in_jpeg, "webp": _in_webp}[format](data)
        _check_store(store, frozenset(ours))
    except (_OtherwiseError, struct.error, IndexError, RecursionError, UnicodeDecodeError):
        return False
    return True


def _want(held: bool) -> None:
    if not held:
        raise _OtherwiseError


def _in_png(data: bytes) -> bytes:
    found = []
    at = 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if kind == b"caBX":
            found.append(body)
            _want(struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(kind + body))
        at += 12 + size
    _want(len(found) == 1)
    return found[0]


def _in_jpeg(data: bytes) -> bytes:
    """APP11 segments (JPEG XT, ISO 18477-3): common id, box instance, number from 1, and the box's head in each."""
    pieces: list[bytes] = []
    head = b""
    for kind, body in _segments(data):
        if kind != 0xEB:
            continue
        mark, instance, number = struct.unpack_from(">2sHI", body)
        head = head or body[8:16]
        _want(mark == b"JP" and instance == _JPEG_INSTANCE and number == len(pieces) + 1 and body[8:16] == head)
        pieces.append(body[16:])
    return head + b"".join(pieces)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of each segment before the picture's data."""
    at = 2
    while data[at] == 0xFF and data[at + 1] != 0xDA:
        (size,) = struct.unpack_from(">H", data, at + 2)
        yield data[at + 1], data[at + 4 : at + 2 + size]
        at += 2 + size


def _in_webp(data: bytes) -> bytes:
    found = []
    at = 12
    while at < len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == b"C2PA":
            found.append(data[at + 8 : at + 8 + size])
            _want(not any(data[at + 8 + size : at + 8 + size + size % 2]))
        at += 8 + size + size % 2
    _want(len(found) == 1)
    return found[0]


def _check_store(store: bytes, ours: frozenset[str]) -> None:
    """The box of all manifests: the one in force, and those of its parents."""
    ((kind, body),) = _boxes(store)
    _want(kind == b"jumb" and _label(body) == b"c2pa")
    met = set()
    for kind, manifest in _superbox(body, b"c2pa"):
        _want(kind == b"jumb")
        label = _label(manifest).decode()
        if label in ours:
            met.add(label)
            _check_manifest(manifest)
    _want(met == ours)


def _check_manifest(manifest: bytes) -> None:
    parts = _superbox(manifest, b"c2ma")
    _want([_label(part) for _, part in parts] == list(_PARTS))
    for label, (kind, part) in zip(_PARTS, parts, strict=True):
        _want(kind == b"jumb")
        contents = _superbox(part, label)
        if label == b"c2pa.assertions":
            for inner, assertion in contents:
                _want(inner == b"jumb")
                _superbox(assertion, _label(assertion))
        if label == b"c2pa.signature":
            ((inner, envelope),) = contents
            _want(inner == b"cbor")
            _check_envelope(envelope)


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """Boxes that fill ``data`` to its last byte."""
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        _want(8 <= size <= len(data) - at)
        found.append((kind, data[at + 8 : at + size]))
        at += size
    return found


def _superbox(body: bytes, label: bytes) -> list[tuple[bytes, bytes]]:
    """The contents behind a description of the right type."""
    (kind, description), *contents = _boxes(body)
    _want(kind == b"jumd" and description[4:16] == _SUFFIX)
    if label in _KINDS:
        _want(description[:4] == _KINDS[label] and description[16] == _TOGGLES[0])
    ends = description[17:].endswith(b"\0")
    _want(description[16] in _TOGGLES and (ends or description[16] == _TOGGLES[1]))
    return contents


def _label(body: bytes) -> bytes:
    """The name in a superbox's description."""
    ((_, description), *_) = _boxes(body)
    return description[17:].partition(b"\0")[0]


def _check_envelope(data: bytes) -> None:
    """COSE_Sign1 (RFC 9052): what is signed, and behind it an unsigned map with nothing but zeros in its padding."""
    _want(data[:2] == b"\xd2\x84")
    at = _skip(data, 2)
    _want(data[at] >> 5 == 5)
    count, at = _count(data, at)
    for _ in range(count):
        end = _skip(data, at)
        key, at = data[at:end], end
        end = _skip(data, at)
        value, at = data[at:end], end
        _want(key[0] >> 5 == 3)
        name = key[_count(key, 0)[1] :].decode()
        if name in ("pad", "pad2"):
            _want(value[0] >> 5 == 2 and not any(value[_count(value, 0)[1] :]))
        else:
            _want(name in _UNSIGNED)
    _want(data[at] == 0xF6 and _skip(data, at + 1) == len(data))


def _count(data: bytes, at: int) -> tuple[int, int]:
    """The number in a CBOR head (RFC 8949) in its shortest form, and where the head ends."""
    short = data[at] & 31
    if short < 24:
        return short, at + 1
    _want(short <= 27)
    width = 1 << (short - 24)
    number = int.from_bytes(data[at + 1 : at + 1 + width], "big")
    _want(number >= (24, 256, 65_536, 2**32)[short - 24])
    return number, at + 1 + width


def _skip(data: bytes, at: int) -> int:
    """Where the CBOR item at ``at`` ends."""
    kind = data[at] >> 5
    number, end = _count(data, at) if kind != 7 else (0, at + 1)
    if kind in (2, 3):
        end += number
    for _ in range({4: number, 5: 2 * number, 6: 1}.get(kind, 0)):
        end = _skip(data, end)
    _want(end <= len(data))
    return end
