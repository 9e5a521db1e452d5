"""A picture's file looked at whole: what it says, and whether its pixels are those that were recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from limner.config import Settings
from limner.errors import UnreadablePicture
from limner.inspecting.facts import Fact, size
from limner.inspecting.marks import Marks, look_at_marks
from limner.inspecting.record import consistent
from limner.library.embed import DIGITAL_SOURCE
from limner.library.files import decode, format_name, opened, pixel_hash
from limner.library.metadata import Found, Source, of_image
from limner.types import Brief, Record

if TYPE_CHECKING:
    from limner.types import Pixels

State = Literal["intact", "altered", "lossy", "damaged"]
_LOSSLESS = "png"
PROGRAMS: dict[Source, str] = {
    "limner": "Limner",
    "a1111": "A1111's web UI, or a program that writes as it does",
    "comfyui": "ComfyUI",
    "invokeai": "InvokeAI",
    "fooocus": "Fooocus",
    "sdnext": "SD.Next",
}
_PIXELS = {
    "intact": "intact: exactly those that were drawn",
    "altered": "ALTERED: not those that the Record was written for",
    "lossy": "cannot be compared: {format} does not keep pixels exactly",
    "damaged": "DAMAGED: they cannot be decoded",
}


@dataclass(frozen=True, slots=True)
class Inspected:
    """``pixels`` compares the file with its Record: ``None`` without one; "lossy" where the format cannot tell.

    ``consistent``: the Record's hashes are those of its own contents. ``marked``: the IPTC source type is there.
    ``kept`` is the library's Record, where the file has none of its own. Sizes in pixels and bytes.
    """

    path: Path
    format: str
    width: int
    height: int
    bytes: int
    found: Found
    pixels: State | None
    consistent: bool | None
    marked: bool
    marks: Marks
    kept: Record | None = None


def look(path: Path, settings: Settings | None = None) -> Inspected:
    """Read everything; ``settings`` (the user's) say whose signatures are trusted.

    Pixels cut short are a finding, not an error, as long as the file's head can be read. Raises
    ``UnreadablePicture``, ``PictureNotFound``, ``StorageError``.
    """
    with opened(path) as image:
        found = of_image(image)
        format, (width, height) = str(image.format).lower(), image.size
        kind, frames = format_name(image), int(getattr(image, "n_frames", 1))
    pixels = _decoded(path)
    marks = look_at_marks(path, kind, found, pixels, settings or Settings.load(), frames)
    return Inspected(
        path=path,
        format=format,
        width=width,
        height=height,
        bytes=path.stat().st_size,
        found=found,
        pixels="damaged" if pixels is None else _compared(pixels, format, found.record or found.brief),
        consistent=None if found.record is None else consistent(found.record),
        marked=any(DIGITAL_SOURCE in text for text in found.raw.values()),
        marks=marks,
    )


def _decoded(path: Path) -> Pixels | None:
    try:
        return decode(path)
    except UnreadablePicture:
        return None


def _compared(pixels: Pixels, format: str, told: Record | Brief | None) -> State | None:
    """Lossy formats never give the same pixels back, but another size is always an alteration."""
    if told is None:
        return None
    marked = () if told.watermark is None else (told.watermark.pixel_hash,)
    if pixel_hash(pixels) in (told.pixel_hash, *marked):
        return "intact"
    resized = isinstance(told, Record) and pixels.shape[1::-1] != told.recipe.finished
    return "altered" if format == _LOSSLESS or resized else "lossy"


def facts(inspected: Inspected) -> Iterator[Fact]:
    """The verdicts, first of all."""
    found, record = inspected.found, inspected.found.record
    yield "file", f"{inspected.format.upper()}, {inspected.width}x{inspected.height}, {size(inspected.bytes)}"
    yield "made by", _made_by(inspected)
    if record is not None:
        yield "pixels", _PIXELS[inspected.pixels or "lossy"].format(format=inspected.format.upper())
        yield (
            "record",
            "agrees with itself" if inspected.consistent else "EDITED: its hashes are not those of its words",
        )
    elif inspected.pixels is not None:
        yield "pixels", _PIXELS[inspected.pixels].format(format=inspected.format.upper())
    if inspected.marks.frames > 1:
        yield "frames", f"{inspected.marks.frames}, an animation: pixels and watermark are the first one's"
    if found.brief is not None:
        yield (
            "record",
            f"kept out of the file (metadata minimal): the library it was drawn into has {found.brief.image_key}",
        )
    if record is None and found.brief is None and "prompt" not in found.fields:
        yield "recipe", "none found: how it was made cannot be read from it"
    yield "note", "\n".join(notice.message for notice in found.notices)


def _made_by(inspected: Inspected) -> str:
    source, signed = inspected.found.source, inspected.marks.credentials
    if source in ("none", "unknown") and signed.generator:
        return f"{signed.generator}, says its manifest" + ("" if signed.good else " (which is not to be believed)")
    if source == "none":
        return "not said: the file carries no text"
    if source == "unknown":
        return "not known: there is text that Limner does not understand"
    said = PROGRAMS[source]
    if source == "limner":
        return (
            said
            if inspected.found.brief is not None or inspected.found.record is not None
            else f"{said}, says its A1111 text; the Record is gone"
        )
    return f"{said} (says the file)"
