"""Small pictures for grids: WebP, made once for each content and size, in the cache."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Literal

from PIL import Image

from limner.disk import write_atomic
from limner.errors import PictureNotFound, StorageError
from limner.library.entries import Entry
from limner.library.files import opened, to_pixels

Size = Literal[256, 512]
QUALITY = 80


class Thumbnails:
    """Below ``root``, by the hash of the pixels. ``at_once`` are made at the same time."""

    def __init__(self, root: Path, at_once: int = 2) -> None:
        self._root = root
        self._turn = asyncio.Semaphore(at_once)

    def path(self, entry: Entry, size: Size) -> Path:
        """Where the thumbnail is, or will be."""
        name = entry.pixel_hash.removeprefix("sha256:")
        return self._root / str(size) / name[:2] / f"{name}.webp"

    async def of(self, entry: Entry, size: Size) -> bytes:
        """A thumbnail's bytes, the longer side at most ``size`` pixels. Raises ``PictureNotFound``,
        ``UnreadablePicture``, ``StorageError``."""
        path = self.path(entry, size)
        found = await asyncio.to_thread(_read, path)
        if found is not None:
            return found
        async with self._turn:
            return await asyncio.to_thread(_made, entry, path, size)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}", hint="check the cache's permissions") from error


def _made(entry: Entry, path: Path, size: Size) -> bytes:
    if not entry.path.is_file():
        raise PictureNotFound(f"the file of picture {entry.id} is gone", hint=f"limner replay {entry.id} draws it anew")
    with opened(entry.path) as image:
        image.draft("RGB", (size, size))
        small = Image.fromarray(to_pixels(image))
    small.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=QUALITY, method=2)
    write_atomic(path, out.getvalue())
    return out.getvalue()
