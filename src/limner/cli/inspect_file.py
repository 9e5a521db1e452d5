"""A picture's file looked at whole: what it says, and whether its pixels are those that were recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from limner.cli.inspect_record import consistent
from limner.errors import UnreadablePicture
from limner.library.embed import DIGITAL_SOURCE
from limner.library.files import decode, opened, pixel_hash
from limner.library.metadata import Found, of_image

if TYPE_CHECKING:
    from limner.types import Pixels, Record

State = Literal["intact", "altered", "lossy", "damaged"]
_LOSSLESS = "png"


@dataclass(frozen=True, slots=True)
class Inspected:
    """``pixels`` compares the file with its Record: ``None`` without one; "lossy" where the format cannot tell.

    ``consistent``: the Record's hashes are those of its own contents. ``marked``: the IPTC source type is there.
    Sizes in pixels and bytes.
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


def look(path: Path) -> Inspected:
    """Read everything. Raises ``UnreadablePicture``, ``PictureNotFound``, ``StorageError``.

    Pixels cut short are a finding, not an error, as long as the file's head can be read.
    """
    with opened(path) as image:
        found = of_image(image)
        format, (width, height) = str(image.format).lower(), image.size
    return Inspected(
        path=path,
        format=format,
        width=width,
        height=height,
        bytes=path.stat().st_size,
        found=found,
        pixels=_pixels(path, format, found.record),
        consistent=None if found.record is None else consistent(found.record),
        marked=any(DIGITAL_SOURCE in text for text in found.raw.values()),
    )


def _pixels(path: Path, format: str, record: Record | None) -> State | None:
    try:
        pixels = decode(path)
    except UnreadablePicture:
        return "damaged"
    return None if record is None else _compared(pixels, format, record)


def _compared(pixels: Pixels, format: str, record: Record) -> State:
    """Lossy formats never give the same pixels back, but another size is always an alteration."""
    if pixel_hash(pixels) == record.pixel_hash:
        return "intact"
    width, height = record.recipe.finished
    return "altered" if format == _LOSSLESS or pixels.shape[:2] != (height, width) else "lossy"
