"""From a picture just drawn to one that is kept: checked, recorded, marked, stored. Never touches torch."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from limner.image import Image
from limner.library.store import Library
from limner.session import hooks
from limner.session.birth import birth
from limner.session.checking import Checking
from limner.types import Drawn, Plan, Protection


class Keeping:
    """``library`` is where pictures are kept, or ``None``: then they are handed out alone."""

    def __init__(self, protection: Protection, checking: Checking, library: Library | None) -> None:
        self._protection = protection
        self._checking = checking
        self._library = library

    @cached_property
    def _marks(self) -> tuple[hooks.Mark, ...]:
        return hooks.marks()

    def finished(self, plan: Plan, drawn: Drawn) -> Image:
        """The picture, safe on the disk where there is a library. Raises ``Refused``, ``LibraryError``,
        ``StorageError``."""
        pixels, found = self._checking.pixels(plan, drawn.pixels)
        record = birth(plan, replace(drawn, pixels=pixels), found)
        for mark in self._marks:
            pixels = mark.mark(pixels, record)
        if self._library is None:
            return Image(pixels, record)
        entry = self._library.add(pixels, record, parent=plan.parent)
        return Image(pixels, record, entry.id, str(entry.path))
