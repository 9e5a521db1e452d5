"""Where copies of pictures go (``-o``): decided, and tried, before anything is drawn."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from limner.errors import InvalidRequest, StorageError

if TYPE_CHECKING:
    from limner.types import Picture, Record

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")  # library.files knows them too, but needs Pillow: too slow for a mistake


@dataclass(frozen=True, slots=True)
class Target:
    """A file, or a folder that takes any number. ``several``: a file's name gets a number before its ending."""

    path: Path
    folder: bool
    several: bool = False

    @classmethod
    def of(cls, text: str, *, several: bool = False) -> Target:
        """Check what ``-o`` says and that it can be written. A name that ends in a slash is a folder, made if missing.

        Raises ``InvalidRequest`` for an ending that is no picture format, ``StorageError`` for a folder that is not
        there or not writable.
        """
        path = Path(text).expanduser()
        folder = text.endswith(("/", os.sep)) or path.is_dir()
        if not folder and path.suffix.lower() not in SUFFIXES:
            raise InvalidRequest(
                f"output: {path.name!r} does not end like a picture",
                field="output",
                hint=f"end it in {', '.join(SUFFIXES)}, or in / for a folder",
            )
        if folder:
            _make(path)
        check_writable(path if folder else path.parent)
        return cls(path, folder, several)

    def numbered(self, several: bool) -> Target:
        """The same place for one picture or for several."""
        return replace(self, several=several)

    def file(self, record: Record, label: str) -> Path:
        """The file for a Record's picture; ``label`` tells it from its neighbours: "2", or "17-2" of a prompt file."""
        if self.folder:
            head = f"{label.zfill(4) if label.isdecimal() else label}-" if self.several else ""
            return self.path / f"{head}{slug(record.prompt)}-{record.seed.text().replace('/', '-')}.png"
        if not self.several:
            return self.path
        return self.path.with_name(f"{self.path.stem}-{label}{self.path.suffix}")

    def write(self, image: Picture, label: str) -> Path:
        """Write a copy, Record inside. Raises ``StorageError``; the library's own file is not touched by that."""
        from limner.image import Image

        assert isinstance(image, Image)
        try:
            return image.save(self.file(image.record, label))
        except StorageError as error:
            if image.path is not None:
                error.hint = f"{error.hint}; the picture itself is safe: {image.path}"
            raise


def slug(text: str) -> str:
    """A prompt as a file name's beginning: letters, digits and hyphens, 40 at most."""
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-_")[:40].strip("-_") or "picture"


def check_writable(folder: Path) -> None:
    """Raises ``StorageError`` where no file can be made in ``folder``, or where it is not there."""
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise StorageError(f"the folder {folder} {what}", hint="make it first, or name another")
    try:
        # Asked of the disk itself: permission bits say nothing of read-only mounts, quotas and network drives.
        with tempfile.TemporaryFile(dir=folder, prefix=".limner-"):
            pass
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {(error.strerror or str(error)).lower()}", hint="name another folder"
        ) from None


def check_library(root: Path) -> None:
    """As ``check_writable`` for the library's folder, which may have to be made. Makes nothing."""
    there = next((folder for folder in (root, *root.parents) if folder.exists()), root)
    try:
        check_writable(there)
    except StorageError as error:
        error.hint = "set LIMNER_HOME to a folder you can write, or use --no-keep with -o"
        raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the folder {folder} could not be made: {(error.strerror or str(error)).lower()}",
            hint="name another folder",
        ) from None
