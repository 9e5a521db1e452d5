"""A picture's file looked at whole: what it says, and whether its pixels are those that were recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from limner.cli.inspect_marks import Marks, look_at_marks
from limner.cli.inspect_record import consistent
from limner.config import Settings
from limner.errors import UnreadablePicture
from limner.library.embed import DIGITAL_SOURCE
from limner.library.files import decode, format_name, opened, pixel_hash
from limner.library.metadata import Found, of_image
from limner.types import Brief, Record

if TYPE_CHECKING:
    from limner.types import Pixels

State = Literal["intact", "altered", "lossy", "damaged"]
_LOSSLESS = "png"


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


def look(path: Path) -> Inspected:
    """Read everything. Raises ``UnreadablePicture``, ``PictureNotFound``, ``StorageError``.

    Pixels cut short are a finding, not an error, as long as the file's head can be read.
    """
    with opened(path) as image:
        found = of_image(image)
        format, (width, height) = str(image.format).lower(), image.size
        kind, frames = format_name(image), int(getattr(image, "n_frames", 1))
    pixels = _decoded(path)
    marks = look_at_marks(path, kind, found, pixels, Settings.load(), frames)
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
