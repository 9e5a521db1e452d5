"""From a picture just drawn to one that is kept: checked, recorded, marked, stored. Never touches torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from limner.canonical import tagged
from limner.errors import LibraryError
from limner.image import Image
from limner.library.store import Library
from limner.marking import Marking
from limner.session.birth import birth
from limner.session.checking import Checking
from limner.types import Drawn, Plan, Protection, Request

StartPicture = Callable[[Request], "Path | None"]
"""The file of a request's start picture, where it has one."""


class Keeping:
    """``library`` is where pictures are kept, or ``None``: then they are handed out alone, and marked when they are
    saved."""

    def __init__(
        self,
        protection: Protection,
        checking: Checking,
        library: Library | None,
        marking: Marking,
        start_picture: StartPicture,
    ) -> None:
        self._protection = protection
        self._checking = checking
        self._library = library
        self._marking = marking
        self._start_picture = start_picture

    def warm(self) -> None:
        """Load what is needed later, on the thread that will need it, while the picture is being drawn."""
        if self._library is not None:
            self._marking.warm(self._protection.marks)

    def finished(self, plan: Plan, drawn: Drawn) -> Image:
        """The picture, safe on the disk where there is a library: its pixels as they were drawn, its file's marked.

        Raises ``Refused``, ``LibraryError``, ``StorageError``."""
        pixels, found = self._checking.pixels(plan, drawn.pixels)
        record = birth(plan, replace(drawn, pixels=pixels), found, self._protection)
        parent = self._parent(plan)
        if self._library is None:
            return Image(pixels, record, marking=self._marking, parent=parent)
        file = self._marking.file(pixels, record, parent=parent)
        size = (pixels.shape[1], pixels.shape[0])
        entry = self._library.add_encoded(file.data, file.record, "png", size=size, parent=plan.parent)
        kept = tagged(file.data)
        return Image(pixels, file.record, entry.id, str(entry.path), marking=self._marking, parent=parent, kept=kept)

    def _parent(self, plan: Plan) -> Path | None:
        try:
            return self._start_picture(plan.request)
        except LibraryError:  # removed meanwhile; what was drawn over it is still a picture
            return None
