"""Find one picture from what a person types: an id, a piece of one, or a path."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from limner.errors import LimnerError, PictureNotFound
from limner.library.database import Database
from limner.library.entries import COLUMNS, ID, ID_PART, Entry, of_row, stored_path
from limner.library.files import SUFFIXES
from limner.library.metadata import read

_SHOWN = 5
_NEWEST = re.compile(r"@(\d{1,9})")


class Lookup:
    """``get`` over one library's rows."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root

    def get(self, what: str) -> Entry:
        """See ``Library.get``."""
        text = what.strip()
        if match := _NEWEST.fullmatch("@1" if text.lower() == "last" else text):
            return self._by_age(int(match[1]), what)
        if ID.fullmatch(text.lower()) and (found := self._where("id = ?", text.lower())):
            return found[0]
        if _is_path(text):
            try:
                return self._by_path(Path(text).expanduser())
            except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, not UTF-8, nobody's home
                raise PictureNotFound(f"{text[:80]!r} is no path here", hint="limner gallery lists ids") from error
        return self._by_piece(text.lower())

    def _by_age(self, place: int, what: str) -> Entry:
        """Among the pictures that Limner drew: an import of screenshots must not change what ``last`` is. Where it drew
        none, among all."""
        drawn = self._database.query("SELECT count(*) AS pictures FROM pictures WHERE source = 'limner'")[0]["pictures"]
        among = "source = 'limner'" if drawn else "1"
        found = self._where(f"{among} ORDER BY created DESC, id DESC LIMIT 1 OFFSET {place - 1}") if place else []
        if found:
            return found[0]
        holds = f"Limner drew {drawn} of its pictures; @1 is the newest"
        hint = holds if drawn else "draw one first: limner a red fox in the snow"
        raise PictureNotFound(f"the library has no picture {what!r}", hint=hint)

    def _by_piece(self, piece: str) -> Entry:
        if not ID_PART.fullmatch(piece):
            raise PictureNotFound(
                f"there is no picture {piece[:80]!r}",
                hint="give an id, its beginning or end, or a path (limner gallery)",
            )
        for where, pattern in (("id GLOB ?", f"{piece}*"), ("id GLOB ?", f"*{piece}")):
            found = self._where(f"{where} ORDER BY n DESC LIMIT 50", pattern)
            if len(found) == 1:
                return found[0]
            if found:
                names = ", ".join(entry.id for entry in found[:_SHOWN])
                more = " ..." if len(found) > _SHOWN else ""
                raise PictureNotFound(f"{piece!r} fits {len(found)} pictures", hint=f"which one: {names}{more}")
        raise PictureNotFound(f"there is no picture {piece!r}", hint=self._nearest(piece))

    def _by_path(self, path: Path) -> Entry:
        resolved = path.absolute()
        for candidate in dict.fromkeys((resolved, resolved.resolve())):
            if found := self._where("path = ?", stored_path(candidate, self._root)):
                return found[0]
        if not resolved.is_file():
            raise PictureNotFound(
                f"there is no file {path}", hint="check the path, or give a picture's id (limner gallery)"
            )
        try:
            told = read(resolved)
        except LimnerError as error:
            raise PictureNotFound(f"{path} is not in the library: {error.message}", hint=error.hint) from error
        where = "image_key = ? AND pixel_hash = ? ORDER BY n DESC"
        record = told.record or told.brief
        if record is not None and (found := self._where(where, record.image_key, record.pixel_hash)):
            return found[0]
        raise PictureNotFound(f"{path} is not in the library", hint=f"limner gallery import {path.parent} takes it up")

    def _nearest(self, piece: str) -> str:
        recent = self._database.query("SELECT id FROM pictures ORDER BY n DESC LIMIT 1000")
        near = difflib.get_close_matches(piece, [row["id"] for row in recent], n=3, cutoff=0.6)
        return f"did you mean {' or '.join(near)}?" if near else "limner gallery lists them"

    def _where(self, where: str, *values: str) -> list[Entry]:
        rows = self._database.query(f"SELECT {COLUMNS} FROM pictures WHERE {where}", values)
        return [of_row(row, self._root) for row in rows]


def _is_path(text: str) -> bool:
    return "/" in text or "\\" in text or Path(text).suffix.lower() in SUFFIXES or text.startswith("~")
