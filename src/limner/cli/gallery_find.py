"""Several pictures at once."""

from __future__ import annotations

from collections.abc import Iterable

from limner.library.entries import Entry
from limner.library.store import Library


def find_all(library: Library, names: Iterable[str]) -> list[Entry]:
    """Each picture once, in the order given. Raises ``PictureNotFound`` for the first that is not there."""
    return list({entry.id: entry for entry in (library.get(name) for name in names)}.values())
