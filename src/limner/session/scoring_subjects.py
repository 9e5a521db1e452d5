"""What is scored: pictures as they are given, each with what is known of it, decoded only when its turn comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from limner.errors import InvalidRequest, PictureNotFound, UnreadablePicture
from limner.evaluate.words import plain_words
from limner.library.files import decode
from limner.library.metadata import read
from limner.library.store import Library
from limner.types import Picture, Record

if TYPE_CHECKING:
    from limner.types import Pixels


@dataclass(frozen=True, slots=True)
class Subject:
    """One picture to be scored. ``name`` is what messages call it, ``id`` the library's, where it is there. ``words``
    are its own, as a person would say them, empty where none are known. ``damaged``: its file cannot be read, and
    ``load`` raises why."""

    name: str
    record: Record | None
    id: str | None
    load: Callable[[], Pixels]
    words: str = ""
    damaged: bool = False


Scorable: TypeAlias = "Pixels | Picture | str | Path | Subject"
"""Pixels [H, W, 3] uint8, an Image, a picture file's path, or a library id (also ``last`` and ``@2``)."""


def subjects(images: Sequence[Scorable], library: Callable[[], Library | None]) -> list[Subject]:
    """Every picture with its Record; no pixels are decoded. ``library`` gives the library, if there is one.

    Raises ``InvalidRequest`` for what is no picture, ``PictureNotFound``, ``LibraryError``.
    """
    if isinstance(images, str | Path | Picture | Subject):
        raise InvalidRequest(
            "images: one picture was given where a list is meant", hint="put it in brackets: [picture]"
        )
    return [_subject(image, place, library) for place, image in enumerate(images, 1)]


def as_drawn(subject: Subject, pixels: str) -> str | None:
    """The hash of a library picture's pixels as they were drawn, where ``pixels`` is that of its file with the
    watermark. A file from elsewhere is only what it is: anybody can write a Record into it."""
    record = subject.record
    if subject.id is None or record is None or record.watermark is None or record.watermark.pixel_hash != pixels:
        return None
    return record.pixel_hash


def _subject(image: Scorable, place: int, library: Callable[[], Library | None]) -> Subject:
    if isinstance(image, Subject):
        return image
    if isinstance(image, Picture):
        pixels, words = _checked(image.pixels, place), plain_words(image.record.prompt)
        return Subject(image.id or f"picture {place}", image.record, image.id, lambda: pixels, words)
    if isinstance(image, str | Path):
        return _of_name(image, library)
    given = _checked(image, place)
    return Subject(f"picture {place}", None, None, lambda: given)


def _of_name(name: str | Path, library: Callable[[], Library | None]) -> Subject:
    """A file, in the library or not; else a library id."""
    path, kept = Path(name), library()
    if path.is_file():
        try:
            entry = None if kept is None else kept.get(str(path.absolute()))
        except PictureNotFound:
            entry = None
        if entry is not None and entry.path.is_file() and entry.path.samefile(path):
            return Subject(path.name, entry.record, entry.id, lambda: decode(path), plain_words(entry.prompt))
        try:
            found = read(path)
        except UnreadablePicture:  # one such file leaves the others: what is wrong with it is said when its turn comes
            return Subject(path.name, None, None, lambda: decode(path), damaged=True)
        words = plain_words(str(found.fields.get("prompt", "")))
        return Subject(path.name, found.record, None, lambda: decode(path), words)
    if kept is None:
        raise PictureNotFound(f"there is no picture {str(name)!r}", hint="give a file's path, or a picture's id")
    entry = kept.get(str(name))
    return Subject(entry.id, entry.record, entry.id, lambda: decode(entry.path), plain_words(entry.prompt))


def _checked(pixels: Pixels, place: int) -> Pixels:
    shape, kind = getattr(pixels, "shape", None), str(getattr(pixels, "dtype", type(pixels).__name__))
    if shape is None or len(shape) != 3 or shape[2] != 3 or kind != "uint8" or 0 in shape:
        said = kind if shape is None else f"{'x'.join(map(str, shape))} {kind}"
        raise InvalidRequest(
            f"picture {place} is no picture: {said}",
            hint="pixels are height x width x 3, uint8; or give a path, or an id",
        )
    return pixels
