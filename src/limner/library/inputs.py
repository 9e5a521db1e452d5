"""The input store: pictures given to a request (start image, mask), kept under the hash of their bytes.

A Request names its inputs ``sha256:...``, so no path travels over HTTP, and a replay finds what was used.
"""

from __future__ import annotations

import re
from pathlib import Path

from limner.canonical import tagged
from limner.disk import write_atomic
from limner.errors import PictureNotFound, UnreadablePicture
from limner.library.files import SUFFIX, decode, format_name, opened, read_bytes

_HASH = re.compile(r"sha256:([0-9a-f]{64})")


def checked(path: Path) -> str:
    """The suffix of a picture's format, once every pixel was read: damage is found now, not when a long job starts.

    Raises ``UnreadablePicture`` (also for an animation), ``PictureNotFound``, ``StorageError``.
    """
    with opened(path) as image:
        suffix, frames = SUFFIX[format_name(image)], getattr(image, "n_frames", 1)
    if frames > 1 and suffix != ".jpg":  # a phone's JPEG may hold a second, smaller picture
        raise UnreadablePicture(f"{path} is an animation of {frames} pictures", hint="save one of them as a picture")
    decode(path)
    return suffix


class Inputs:
    """Content-addressed files in one folder, which is made at the first ``ingest``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ingest(self, path: Path) -> str:
        """Take a picture in, and return its ``sha256:`` name. The same bytes are kept once.

        Raises ``UnreadablePicture`` (not PNG, JPEG or WebP; animated; damaged; over 80 million pixels or 256 MB),
        ``PictureNotFound``, ``StorageError``.
        """
        suffix = checked(path)
        data = read_bytes(path)
        name = tagged(data)
        target = self.folder / f"{name.removeprefix('sha256:')}{suffix}"
        if not target.is_file():
            write_atomic(target, data)
        return name

    def open_input(self, name: str) -> Path:
        """The file of an ingested picture, whose bytes are compared with its name. Raises ``PictureNotFound``, also for
        what is no such name, and ``UnreadablePicture`` where the file was changed."""
        match = _HASH.fullmatch(name)
        if match is None:
            raise PictureNotFound(f"{name[:80]!r} is not the name of an input", hint="inputs are named sha256:...")
        for suffix in SUFFIX.values():
            path = self.folder / f"{match[1]}{suffix}"
            if path.is_file():
                if tagged(read_bytes(path)) != name:
                    raise UnreadablePicture(
                        f"{path.name} in the store of inputs is not what was taken in: it was changed or damaged",
                        hint="delete it and give the original file again",
                    )
                return path
        raise PictureNotFound(f"the input {name[:19]}... is not here", hint="give the original file again")
