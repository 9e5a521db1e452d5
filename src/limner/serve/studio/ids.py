"""Ids in the addresses of pages. One that nothing can have is answered as one that nothing has: there is no such thing.

It is refused before anything is looked up, for the library also finds pictures by less than an id.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator

from limner.errors import LimnerError, PictureNotFound
from limner.serve.native.lookup import NoSuchJob
from limner.serve.studies.store import ID, NoSuchStudy

_ENTRY = "[0-9a-z]{14}"
_SAID = 40  # letters of a wrong id that are said again


def _no_picture(id: str) -> LimnerError:
    return PictureNotFound(f"there is no picture {id}", hint="the gallery has those there are")


def _known(pattern: str, missing: Callable[[str], LimnerError]) -> AfterValidator:
    """pydantic lets errors pass that are no ``ValueError``: the page says 404, not 422."""

    def check(id: str) -> str:
        if re.fullmatch(pattern, id) is None:
            raise missing(id[:_SAID])
        return id

    return AfterValidator(check)


PictureHere = Annotated[str, _known(_ENTRY, _no_picture), Path()]
StudyHere = Annotated[str, _known(ID, NoSuchStudy), Path()]
JobHere = Annotated[str, _known(_ENTRY, NoSuchJob), Path()]
