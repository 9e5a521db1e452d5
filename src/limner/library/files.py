"""Picture files: encode, decode within limits, and write so that a file is whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import struct
import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from limner.errors import InvalidRequest, PictureNotFound, StorageError, UnreadablePicture
from limner.library import embed
from limner.library.a1111 import NO_NAMES
from limner.types import Record

if TYPE_CHECKING:
    from limner.types import Pixels

Format = Literal["png", "jpeg", "webp"]
Metadata = Literal["full", "none"]

SUFFIXES: Mapping[str, Format] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
SUFFIX: Mapping[Format, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
MAX_PIXELS = 80_000_000
MAX_BYTES = 256 * 2**20
PNG_LEVEL = 1  # zlib level 6 takes twice the time to save a seventh of the size
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, struct.error)


def format_of(path: Path) -> Format:
    """The format that a file name's suffix asks for. Raises ``InvalidRequest`` for other suffixes."""
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise InvalidRequest(
            f"output: {path.name!r} has no picture suffix that Limner writes",
            field="output",
            hint="use .png, .jpg or .webp",
        ) from None


def encode(
    pixels: Pixels,
    record: Record,
    format: Format = "png",
    *,
    quality: int = 92,
    metadata: Metadata = "full",
    sampler_names: Mapping[str, str] = NO_NAMES,
) -> bytes:
    """A picture file's bytes: H x W x 3 uint8 ``pixels`` with their Record, infotext and source type.

    ``quality`` (1-100) is JPEG's and WebP's; WebP at 100 is lossless. ``metadata="none"`` writes pixels alone. A Record
    with ``marks="none"`` is written without the IPTC source type, one with ``metadata="minimal"`` without its words.
    Raises ``InvalidRequest`` for other formats.
    """
    if format not in get_args(Format):
        raise InvalidRequest(f"format: {format!r} cannot be written", field="format", hint="use png, jpeg or webp")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    out = BytesIO()
    full = metadata == "full"
    if format == "png":
        chunks = embed.png_chunks(record, sampler_names) if full else None
        image.save(out, "PNG", compress_level=PNG_LEVEL, pnginfo=chunks)
    elif format == "jpeg":
        packet, extended = embed.jpeg_xmp(record) if full else (b"", b"")
        comment = embed.jpeg_exif(record, sampler_names) if full else b""
        options = ({"exif": comment} if comment else {}) | ({"xmp": packet, "extra": extended} if full else {})
        image.save(out, "JPEG", quality=min(quality, 100), subsampling=0, **options)
    else:
        options = {"exif": embed.exif(record, sampler_names), "xmp": embed.xmp(record)} if full else {}
        image.save(out, "WEBP", quality=quality, lossless=quality >= 100, method=2, **options)
    return out.getvalue()


def pixel_hash(pixels: Pixels) -> str:
    """``sha256:`` over the shape and the bytes of H x W x 3 uint8 pixels, before any file format."""
    digest = hashlib.sha256(f"{'x'.join(map(str, pixels.shape))}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return "sha256:" + digest.hexdigest()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image opened for reading, its header checked against the limits before any pixel is decoded.

    Damage found inside the ``with`` block, too, becomes ``UnreadablePicture``. Raises ``PictureNotFound``,
    ``UnreadablePicture``, ``StorageError``.
    """
    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit comes next
            found = Image.open(path, formats=("PNG", "JPEG", "WEBP"))
        with found as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadablePicture(
                    f"{path} has {image.width} x {image.height} pixels; the limit is {MAX_PIXELS / 1e6:.0f} million",
                    hint="make it smaller first",
                )
            yield image
    except PermissionError as error:
        raise StorageError(f"{path} may not be read", hint="check the file's permissions") from error
    except UnidentifiedImageError as error:
        raise UnreadablePicture(f"{path} is not a PNG, JPEG or WebP picture", hint="convert it first") from error
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        raise UnreadablePicture(f"{path} is damaged: {error}", hint="copy it again from where it came") from error


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        raise PictureNotFound(f"there is no file {path}", hint="check the path") from None
    if not path.is_file():
        raise UnreadablePicture(f"{path} is not a file", hint="name a PNG, JPEG or WebP picture")
    if status.st_size > MAX_BYTES:
        raise _too_large(path)


def decode(path: Path) -> Pixels:
    """A PNG, JPEG or WebP file as H x W x 3 uint8, turned upright by its EXIF orientation; transparency is dropped.

    Raises ``UnreadablePicture`` (other formats, damage, more than 80 million pixels or 256 MB), ``PictureNotFound``.
    """
    with opened(path) as image:
        return to_pixels(image)


def format_name(image: Image.Image) -> Format:
    """The format of an image from ``opened``; a phone's MPO is a JPEG with more behind it."""
    formats: Mapping[str, Format] = {"PNG": "png", "WEBP": "webp"}
    return formats.get(str(image.format), "jpeg")


def to_pixels(image: Image.Image) -> Pixels:
    """H x W x 3 uint8 of an open image; 16-bit grey is scaled down, not clipped."""
    upright = image
    if "exif" in image.info:
        image.load()
        with contextlib.suppress(*_DAMAGE):  # the pixels are good also where the EXIF block is not
            upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        grey = (np.asarray(upright).astype(np.uint32) // 257).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.asarray(upright.convert("RGB"))


def read_bytes(path: Path) -> bytes:
    """A file's bytes, at most 256 MB. Raises ``StorageError``, ``UnreadablePicture``."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise StorageError(f"{path} could not be read: {error.strerror}", hint="check the file") from error
    if len(data) > MAX_BYTES:
        raise _too_large(path)
    return data


def _too_large(path: Path) -> UnreadablePicture:
    return UnreadablePicture(f"{path} is larger than {MAX_BYTES // 2**20} MB", hint="make it smaller first")
