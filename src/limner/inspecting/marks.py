"""The marks in a picture's file, each in plain words: what was found, and what that proves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limner.config import Settings
from limner.inspecting.facts import Fact, when
from limner.library.embed import SOURCES
from limner.library.files import Format, read_bytes
from limner.library.metadata import Found
from limner.safety.credentials_read import Credentials

if TYPE_CHECKING:
    from limner.safety.watermark import Detection
    from limner.types import Pixels, Watermark

_XMP = ("XML:com.adobe.xmp", "XMP")
_KINDS = {
    "trainedAlgorithmicMedia": "made by a trained model",
    "compositeWithTrainedAlgorithmicMedia": "made by a trained model over another picture",
    "algorithmicallyEnhanced": "another picture, enlarged or improved by a program",
    "algorithmicMedia": "made by a program that was not trained",
    "compositeSynthetic": "put together with parts that were generated",
    "digitalCapture": "taken by a camera",
    "digitalCreation": "drawn by a person with a program",
    "humanEdits": "edited by a person",
}


@dataclass(frozen=True, slots=True)
class Marks:
    """``source`` is the term that XMP says, empty where it says none; ``broken_xmp``: it cannot be read as XML.
    ``expected`` is the watermark that the Record speaks of. ``watermark`` is ``None`` where no pixel could be read."""

    credentials: Credentials
    source: str
    broken_xmp: bool
    watermark: Detection | None
    expected: Watermark | None
    frames: int = 1


def look_at_marks(
    path: Path, format: Format, found: Found, pixels: Pixels | None, settings: Settings, frames: int = 1
) -> Marks:
    """Look for every mark. ``pixels`` are the file's, ``None`` where they cannot be decoded. Raises ``StorageError``,
    ``ConfigError``."""
    from limner.safety.credentials_read import read
    from limner.safety.keys import recognised
    from limner.safety.watermark import detect

    credentials = read(read_bytes(path), format, anchors=_anchors(settings), local=recognised(settings.credentials))
    told = found.record or found.brief
    source, broken = _source(found)
    seen = None if pixels is None else detect(pixels)
    return Marks(credentials, source, broken, seen, None if told is None else told.watermark, frames)


def _anchors(settings: Settings) -> bytes:
    """The certificates that the user trusts. Raises ``StorageError``."""
    trusted = settings.signing.get("trust")
    return b"" if trusted is None else read_bytes(Path(trusted))


def _source(found: Found) -> tuple[str, bool]:
    """The digital source type in the XMP packet, and whether the packet is broken."""
    packet = next((found.raw[name] for name in _XMP if name in found.raw), "")
    start = packet.find(SOURCES)
    term = "" if start < 0 else packet[start + len(SOURCES) :]
    said = "".join(letter for letter in term[:60].split('"')[0].split("<")[0].split("'")[0] if letter.isalnum())
    whole = packet.count("<rdf:RDF") == packet.count("</rdf:RDF>") and packet.count("<x:xmpmeta") == packet.count(
        "</x:xmpmeta>"
    )
    return said, not whole


def facts(marks: Marks) -> Iterator[Fact]:
    """A line a mark."""
    yield "watermark", _watermark(marks)
    yield "manifest (C2PA)", _manifest(marks.credentials)
    if marks.credentials.state != "absent":
        yield "signed by", _signer(marks.credentials)
        yield "it says", _says(marks.credentials)
    yield "source (XMP)", _xmp(marks)


def _watermark(marks: Marks) -> str:
    seen, expected = marks.watermark, marks.expected
    if seen is None:
        return "not looked for: the pixels cannot be decoded"
    where = " in the first frame (the others were not looked at)" if marks.frames > 1 else ""
    if not seen.present:
        lost = "; the Record says there was one: it is too faint, or was removed" if expected is not None else ""
        return f"none found{where}{lost} (which proves nothing: it can be removed)"
    if seen.payload is None:
        return f"found{where}, too damaged to be read: Limner made this picture, or one that it was made from"
    payload = f"{seen.payload:08x}"
    named = {expected.payload if expected is not None else None, marks.credentials.picture.get("watermark")} - {None}
    if not named:
        return f"found{where}: {payload}; there is no Record to compare it with"
    if payload in named:
        return f"found{where}: {payload}, as the Record says"
    return f"found{where}: {payload}, NOT the one that the Record names ({', '.join(map(str, named))})"


def _manifest(found: Credentials) -> str:
    why = "".join(f"\n{reason}" for reason in found.reasons)
    match found.state:
        case "absent":
            return "none: never signed, or its manifest was removed"
        case "unreadable":
            return f"UNREADABLE{why}"
        case "altered":
            return f"ALTERED: the file is not as it was signed, and what the manifest says is hearsay{why}"
        case "trusted":
            return f"intact and trusted: the file is as its signer, whom you trust, signed it{why}"
    if found.here:
        return f"intact: the file is, to the last byte, as this installation wrote it{why}"
    return (
        "intact, by an unverified signer: nothing was changed since it was signed, and anybody can sign so; who it "
        f"was is not proven{why}"
    )


def _signer(found: Credentials) -> str:
    own = found.here and found.good
    parts = ["this installation's own key" if own else _name(found.signer) or "not said"]
    if found.generator:
        parts.append(f"with {found.generator}")
    if found.when:
        stamped = "time-stamped" if found.timestamped else "by its own clock"
        parts.append(f"{when(found.when, seconds=True)} ({stamped})")
    return ", ".join(parts)


def _name(signer: str) -> str:
    """A certificate's words. Limner's older ones say "this installation", which is true of their own alone."""
    return re.sub("this installation", "an installation", signer, flags=re.IGNORECASE)


def _says(found: Credentials) -> str:
    parts = [_KINDS.get(found.source, found.source) or "nothing of where the picture comes from"]
    if found.parents:
        parts.append("from another picture, whose own manifest is inside" if found.parents == 1 else "from others")
    return ", ".join(parts)


def _xmp(marks: Marks) -> str:
    broken = "; the XMP packet is damaged" if marks.broken_xmp else ""
    if not marks.source:
        return f"not marked as made by a model (IPTC){broken}"
    return f"{_KINDS.get(marks.source, marks.source)} (IPTC {marks.source}){broken}"


def as_json(marks: Marks) -> dict[str, object]:
    """Everything found, JSON-ready."""
    found, seen = marks.credentials, marks.watermark
    return {
        "watermark": None
        if seen is None
        else {
            "present": seen.present,
            "payload": None if seen.payload is None else f"{seen.payload:08x}",
            "score": round(seen.score, 2),
            "expected": None if marks.expected is None else marks.expected.payload,
        },
        "c2pa": {
            "state": found.state,
            "signer": found.signer if found.here else _name(found.signer),
            "this_installation": found.here,
            "generator": found.generator,
            "source": found.source,
            "when": found.when,
            "timestamped": found.timestamped,
            "parents": found.parents,
            "picture": dict(found.picture),
            "reasons": list(found.reasons),
        },
        "xmp": {"source": marks.source, "damaged": marks.broken_xmp},
        "frames": marks.frames,
    }
