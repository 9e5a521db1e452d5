"""The scores of pictures, as the library keeps them: one a picture, scorer, revision and text."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from limner.library.database import Cell, Database
from limner.types import Score

_COLUMNS = "scorer, revision, text, value, scale, domain, flags"
# a picture that was deleted while it was scored keeps no score
_INSERT = (
    f"INSERT OR REPLACE INTO scores (picture, {_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 "
    "WHERE EXISTS (SELECT 1 FROM pictures WHERE id = ?1)"
)


class Scores:
    """Over one library's rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, scored: Iterable[tuple[str, Score]]) -> None:
        """Scores by picture id, in one transaction; the same scorer, revision and text replaces its earlier one."""
        self._database.write_many(_INSERT, [_row(picture, score) for picture, score in scored])

    def of(self, picture: str) -> Sequence[Score]:
        """All scores of a picture id, by scorer."""
        sql = f"SELECT {_COLUMNS} FROM scores WHERE picture = ? ORDER BY scorer, revision, text"
        return tuple(_score(row) for row in self._database.query(sql, (picture,)))

    def values(self, scorer: str, pictures: Sequence[str], *, highest: bool = True) -> Mapping[str, float]:
        """By picture id, the highest (or lowest) value that a scorer gave; a picture without one is left out."""
        sql = (
            f"SELECT picture, {'max' if highest else 'min'}(value) AS value FROM scores "
            "WHERE scorer = ? AND picture IN (SELECT value FROM json_each(?)) GROUP BY picture"
        )
        rows = self._database.query(sql, (scorer, json.dumps(list(pictures))))
        return {row["picture"]: row["value"] for row in rows}

    def scorers(self) -> Sequence[str]:
        """Names of all scorers that have scored a picture here."""
        return [row["scorer"] for row in self._database.query("SELECT DISTINCT scorer FROM scores ORDER BY scorer")]


def _row(picture: str, score: Score) -> tuple[Cell, ...]:
    flags = json.dumps(score.flags, ensure_ascii=False)
    return (picture, score.scorer, score.revision, score.text or "", score.value, score.scale, score.domain, flags)


def _score(row: sqlite3.Row) -> Score:
    said = dict(row)
    return Score(**{**said, "text": said["text"] or None, "flags": tuple(json.loads(said["flags"]))})
