"""Pictures that are sent: decoded within limits and written anew, so that nothing of the sender's file is kept."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import io
import re
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from limner.errors import InvalidRequest, LimnerError, UnreadablePicture
from limner.library.files import PNG_LEVEL
from limner.library.metadata import Found, of_image
from limner.session import Session

MOST_BYTES = 32 * 2**20
MOST_PIXELS = 32_000_000  # 8192 x 3906: a hundred megabytes once decoded
FORMATS = ("PNG", "JPEG", "WEBP")
_DATA = re.compile(r"data:image/[a-z+.-]{1,20};base64,", re.IGNORECASE)
_HANDS = ThreadPoolExecutor(2, thread_name_prefix="limner-uploads")
"""Pictures decoded at once: each may take hundreds of megabytes."""
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, AttributeError)


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that was sent, decoded: upright, mode RGB, RGBA or L. ``found``: what its file said of itself."""

    image: Image.Image
    found: Found


async def upload(data: bytes) -> Upload:
    """Decode what was sent, off the event loop. Raises ``UnreadablePicture``."""
    return await asyncio.get_running_loop().run_in_executor(_HANDS, decoded, data)


async def take_in(session: Session, image: Image.Image) -> str:
    """The ``sha256:`` name of a decoded picture, kept in the library's input store. Raises ``StorageError``."""
    return await asyncio.get_running_loop().run_in_executor(_HANDS, kept, session, image)


def decoded(data: bytes) -> Upload:
    """A PNG, JPEG or WebP file's bytes as a picture. Raises ``UnreadablePicture``: another format, damage, an
    animation, more than 32 megabytes or 32 million pixels."""
    if len(data) > MOST_BYTES:
        raise UnreadablePicture(f"the picture has more than {MOST_BYTES // 2**20} MB", hint="make it smaller first")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit comes next
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        with image:
            _check(image)
            image.load()
            return Upload(_plain(image), _said(image))
    except UnidentifiedImageError:
        raise UnreadablePicture("this is not a PNG, JPEG or WebP picture", hint="convert it first") from None
    except Image.DecompressionBombError:  # Pillow's own limit, found before ours could be
        raise _too_large("the picture has far too many pixels") from None
    except _DAMAGE as error:
        raise UnreadablePicture("the picture is damaged", hint="save it anew") from error


def kept(session: Session, image: Image.Image) -> str:
    """Write a decoded picture anew, as PNG, and take it into the input store. Raises ``StorageError``."""
    with _written(image) as path:
        return session.take_in(path)


def of_base64(text: str) -> bytes:
    """The bytes of base64, bare or as a data URL. Raises ``InvalidRequest``, for other URLs too."""
    prefix = _DATA.match(text)
    bare = text[prefix.end() :] if prefix else text
    try:
        return base64.b64decode(re.sub(r"\s+", "", bare), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(
            "a picture must be base64, bare or as a data URL", field="image", hint="no other URL is fetched"
        ) from None


def _check(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise _too_large(f"the picture has {image.width} x {image.height} pixels")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format not in ("JPEG", "MPO"):
        raise UnreadablePicture(f"it is an animation of {frames} pictures", hint="send one of them")


def _too_large(said: str) -> UnreadablePicture:
    return UnreadablePicture(f"{said}; {MOST_PIXELS // 10**6} million may be sent", hint="make it smaller first")


def _plain(image: Image.Image) -> Image.Image:
    """Pixels alone, upright: what else is in the file stays behind."""
    upright = image
    with contextlib.suppress(*_DAMAGE):  # the pixels are good also where the EXIF block is not
        upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        return upright.convert("I").point(lambda value: value / 257).convert("L")
    if upright.mode in ("LA", "PA", "RGBa", "RGBA") or "transparency" in upright.info:
        mode = "RGBA"
    else:
        mode = "L" if upright.mode in ("L", "1") else "RGB"
    plain = Image.new(mode, upright.size)
    plain.paste(upright.convert(mode))
    return plain


def _said(image: Image.Image) -> Found:
    try:
        return of_image(image)
    except (*_DAMAGE, LimnerError):
        return Found("none")


@contextlib.contextmanager
def _written(image: Image.Image) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="limner-upload-") as folder:
        path = Path(folder) / "upload.png"
        image.save(path, "PNG", compress_level=PNG_LEVEL)
        yield path
