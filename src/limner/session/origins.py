"""Whose birth Record a picture has: the one in its file, or the library's."""

from __future__ import annotations

from pathlib import Path

from limner.errors import PictureNotFound
from limner.library.metadata import Found, read
from limner.library.store import Library
from limner.types import Record


def record_of(picture: str | Path, path: Path, library: Library | None) -> tuple[Record, Path]:
    """The Record of the picture that a person named ``picture``, and its file ``path``. Of a file whose words were kept
    out of it, the library's Record of the same image. Raises ``PictureNotFound`` saying what is missing."""
    found = read(path)
    if found.record is not None:
        return found.record, path
    if (record := in_library(picture, found, library)) is not None:
        return record, path
    if found.brief is not None:
        raise PictureNotFound(
            f"{path.name} says which picture it is, and not how it was drawn: its words and settings were kept out of "
            "the file (metadata minimal), and this library does not know it",
            hint="whoever drew it has its Record in their library; limner inspect shows what the file does say",
        )
    raise PictureNotFound(
        f"{path.name} carries no Record of Limner's",
        hint="limner inspect shows what it does carry; only pictures made by Limner can be drawn again",
    )


def in_library(picture: str | Path, found: Found, library: Library | None) -> Record | None:
    """The library's Record of a picture named by id, or whose file tells only which it is."""
    if library is None:
        return None
    if not Path(picture).is_file():
        return library.get(str(picture)).record
    entry = None if found.brief is None else library.find_by_key(found.brief.image_key)
    return None if entry is None else entry.record
