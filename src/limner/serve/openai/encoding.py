"""Pictures of the library as the files that a client asked for: of another format or size, with all their marks."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image, ImageOps

from limner.library.files import decode, read_bytes
from limner.types import Notice, Record

if TYPE_CHECKING:
    from limner.library.entries import Entry
    from limner.serve.openai.asked import Format
    from limner.serve.openai.sizes import Size
    from limner.serve.service import Service

T = TypeVar("T")
QUALITY = 92  # where the client leaves it to us: 100 is several times as large, and looks the same
_HANDS = ThreadPoolExecutor(2, thread_name_prefix="limner-encoding")
"""Pictures written at once: encoding, watermark and signature take tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a picture is wanted. ``quality`` 1 to 100; ``size`` unset: as it was drawn."""

    format: Format = "png"
    quality: int | None = None
    size: Size | None = None


async def aside(call: Callable[..., T], *given: object) -> T:
    """Off the event loop, two at once."""
    return await asyncio.get_running_loop().run_in_executor(_HANDS, partial(call, *given))


def written(own: Service, entry: Entry, wish: Wish) -> bytes:
    """The picture's file as it is wanted. Slow. Raises ``PictureNotFound``, ``UnreadablePicture``, ``StorageError``."""
    same_size = wish.size in (None, (entry.width, entry.height))
    if same_size and wish.format == entry.format and (wish.format == "png" or wish.quality is None):
        return read_bytes(entry.path)
    pixels = decode(entry.path)
    if not same_size and wish.size is not None:
        fitted = ImageOps.fit(Image.fromarray(pixels), wish.size, Image.Resampling.LANCZOS)
        pixels = np.asarray(fitted)
    record = entry.record
    if record is None:  # another program's picture: there are no marks of ours to keep
        return _plain(pixels, wish)
    if not same_size:
        record = _resampled(record, wish)
    quality = QUALITY if wish.quality is None else max(wish.quality, 1)
    return own.session.marking.file(pixels, record, wish.format, quality=quality).data


def partial_picture(preview: bytes, format: Format, size: Size) -> str:
    """A preview, as base64 of a picture of the final one's format and size."""
    with Image.open(io.BytesIO(preview), formats=("WEBP",)) as image:
        whole = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    out = io.BytesIO()
    whole.save(out, format.upper(), **({"compress_level": 1} if format == "png" else {"quality": 80}))
    return in_base64(out.getvalue())


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _resampled(record: Record, wish: Wish) -> Record:
    assert wish.size is not None
    notice = Notice(code="resampled", message=f"resampled to {wish.size[0]}x{wish.size[1]} as a client asked")
    return record.model_copy(update={"notices": (*record.notices, notice)})


def _plain(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], wish: Wish) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, wish.format.upper())
    return out.getvalue()
