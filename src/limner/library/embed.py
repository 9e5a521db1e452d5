"""Where metadata sits inside a picture file: PNG text chunks, EXIF UserComment and XMP.

==========  ===========================  ==================================  =====================
what        PNG                          JPEG                                WebP
==========  ===========================  ==================================  =====================
infotext    text chunk ``parameters``    EXIF UserComment                    EXIF UserComment
Record      iTXt chunk ``limner``        XMP ``limner:Record``               XMP ``limner:Record``
source      iTXt XMP packet              XMP packet                          XMP packet
==========  ===========================  ==================================  =====================

"source" is IPTC's Digital Source Type, *trainedAlgorithmicMedia* for what a trained model made. A JPEG segment holds 64
KiB; a longer packet continues in extended XMP segments (XMP specification, part 3, 1.1.3.1), and an infotext too long
for EXIF is left out there: the Record still has every word. A Record with ``metadata="minimal"`` is written without
infotext, and as a ``Brief``.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from html import escape, unescape

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner.library.a1111 import infotext
from limner.types import Brief, Record

PNG_RECORD = "limner"
PNG_XMP = "XML:com.adobe.xmp"
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DIGITAL_SOURCE = SOURCES + "trainedAlgorithmicMedia"

_EXIF_HEAD = b"Exif\x00\x00"
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_UNICODE, _ASCII = b"UNICODE\x00", b"ASCII\x00\x00\x00"
_EXIF_ROOM = 65_533 - 64
_XMP_ROOM = 65_504 - 64
_EXTENDED = b"http://ns.adobe.com/xmp/extension/\x00"
_PIECE = 65_000
_RECORD_TAGS = b"<limner:Record>", b"</limner:Record>"


def png_chunks(record: Record, sampler_names: Mapping[str, str]) -> PngInfo:
    """The text chunks of a PNG: infotext (tEXt where Latin-1 suffices, else iTXt), Record, source type."""
    chunks = PngInfo()
    if record.metadata == "full":
        chunks.add_text("parameters", infotext(record, sampler_names))
    chunks.add_itxt(PNG_RECORD, _said(record))
    if record.marks != "none":
        chunks.add_itxt(PNG_XMP, _packet("", source=_source(record)).decode())
    return chunks


def _said(record: Record) -> str:
    """The Record as it travels in the file: whole, or what tells which picture it is."""
    return record.to_json() if record.metadata == "full" else Brief.of(record).to_json()


def _source(record: Record) -> str:
    return "" if record.marks == "none" else SOURCES + record.source


def exif(record: Record, sampler_names: Mapping[str, str], *, limit: int | None = None) -> bytes:
    """An EXIF block with the infotext as UserComment, UTF-16 as the web UI writes it, ASCII where only that fits.

    Empty where neither fits ``limit`` bytes, and where words are to stay out of the file.
    """
    if record.metadata == "minimal":
        return b""
    text = infotext(record, sampler_names)
    comment = _UNICODE + text.encode("utf-16-be")
    if limit is not None and len(comment) > limit:
        comment = _ASCII + text.encode("ascii", "ignore") if text.isascii() else b""
        if not comment or len(comment) > limit:
            return b""
    first = struct.pack(">HHHLLL", 1, _EXIF_IFD, 4, 1, 26, 0)
    second = struct.pack(">HHHLLL", 1, _USER_COMMENT, 7, len(comment), 44, 0)
    return _EXIF_HEAD + b"MM\x00*" + struct.pack(">L", 8) + first + second + comment


def jpeg_exif(record: Record, sampler_names: Mapping[str, str]) -> bytes:
    """As ``exif``, within one JPEG segment."""
    return exif(record, sampler_names, limit=_EXIF_ROOM)


def xmp(record: Record) -> bytes:
    """One XMP packet with the Record and the source type."""
    return _packet(_element(record), source=_source(record))


def jpeg_xmp(record: Record) -> tuple[bytes, bytes]:
    """The main XMP packet, and the extended segments (raw, marker included; empty where one packet is enough)."""
    whole = xmp(record)
    if len(whole) <= _XMP_ROOM:
        return whole, b""
    extended = _packet(_element(record), source="")
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper()
    segments = bytearray()
    for offset in range(0, len(extended), _PIECE):
        piece = extended[offset : offset + _PIECE]
        body = _EXTENDED + guid.encode() + struct.pack(">LL", len(extended), offset) + piece
        segments += b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    return _packet("", source=_source(record), continued=guid), bytes(segments)


def _element(record: Record) -> str:
    ascii_json = json.dumps(json.loads(_said(record)), separators=(",", ":"))
    return f"<limner:Record>{escape(ascii_json, quote=False)}</limner:Record>"


def _packet(body: str, *, source: str, continued: str = "") -> bytes:
    attributes = f'\n   Iptc4xmpExt:DigitalSourceType="{source}"' if source else ""
    if continued:
        attributes += f'\n   xmpNote:HasExtendedXMP="{continued}"'
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        '  <rdf:Description rdf:about=""\n'
        '   xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"\n'
        '   xmlns:xmpNote="http://ns.adobe.com/xmp/note/"\n'
        f'   xmlns:limner="urn:limner:1"{attributes}>{body}</rdf:Description>\n'
        " </rdf:RDF>\n"
        "</x:xmpmeta>\n"
        '<?xpacket end="w"?>'
    ).encode()


def record_in_xmp(packet: bytes) -> str | None:
    """The Record's JSON inside a packet. Read by pattern: no XML parser meets bytes from strangers."""
    _, tag, rest = packet.partition(_RECORD_TAGS[0])
    body, end, _ = rest.partition(_RECORD_TAGS[1])
    return unescape(body.decode("utf-8", "replace")) if tag and end else None


def extended_xmp(segments: Iterable[tuple[str, bytes]]) -> bytes:
    """Join a JPEG's extended XMP pieces, given its APP segments. Empty where there are none."""
    pieces: dict[int, bytes] = {}
    for name, body in segments:
        if name == "APP1" and body.startswith(_EXTENDED) and len(body) > len(_EXTENDED) + 40:
            rest = body[len(_EXTENDED) + 32 :]
            pieces[int(struct.unpack(">L", rest[4:8])[0])] = rest[8:]
    return b"".join(pieces[offset] for offset in sorted(pieces))


def user_comment(image: Image.Image) -> str | None:
    """EXIF UserComment as text, whatever of its three usual encodings was used; ``None`` where there is none."""
    try:
        raw = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, struct.error):
        return None  # a broken EXIF block says nothing; the picture may be good all the same
    if isinstance(raw, str):
        return raw
    if not isinstance(raw, bytes) or len(raw) <= 8:
        return None
    head, body = raw[:8], raw[8:]
    if head == _UNICODE:
        return _utf16(body)
    if head in (_ASCII, b"\x00" * 8):
        return body.decode("utf-8", "replace").strip("\x00")
    return raw.decode("utf-8", "replace").strip("\x00")


def _utf16(body: bytes) -> str:
    """UTF-16 without a byte order: the order that gives more zero high bytes in ASCII's range is the right one."""
    little = body[1::2].count(0) > body[0::2].count(0)
    return body.decode("utf-16-le" if little else "utf-16-be", "replace").lstrip("\ufeff")
