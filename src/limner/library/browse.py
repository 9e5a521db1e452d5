"""Pictures as a gallery walks through them: stretches of a month, tiles without their Records, families.

A stretch is named by its first and last picture, so that new pictures and deleted ones shift nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from limner.errors import InvalidRequest
from limner.library import queries
from limner.library.database import Cell, Database
from limner.library.entries import Entry, Query, of_row

Place = tuple[str, str]
"""(created, id) of a picture."""
STRETCH = 120
KIN = 300  # members of a family that are looked up
_TILE = "pictures.id, created, width, height, prompt, model, seed, rating, pixel_hash, source, format, lost"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Up to ``STRETCH`` pictures in a row, of one month (``"2026-11"``, UTC). Sorted otherwise than by age they are of
    no month, and ``offset`` says where they begin."""

    month: str
    count: int
    first: Place
    last: Place
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Tile:
    """What a grid shows of a picture. Sizes are pixels."""

    id: str
    created: str
    width: int
    height: int
    prompt: str
    model: str
    seed: int | None
    rating: int | None
    pixel_hash: str
    source: str
    format: str
    lost: bool


class Browse:
    """Over one library's rows. ``full_text`` says whether words are found by an index."""

    def __init__(self, database: Database, root: Path, full_text: Callable[[], bool]) -> None:
        self._database = database
        self._root = root
        self._full_text = full_text

    def stretches(self, query: Query) -> Sequence[Stretch]:
        """All that a query finds, in its order, cut into stretches. Its limit and offset count for nothing."""
        if query.sort != "created":
            return self._pieces(query)
        where, values = queries.conditions(query, full_text=self._full_text())
        way = "DESC" if query.descending else "ASC"
        first, last = ("max", "min") if query.descending else ("min", "max")
        # it sorts before every character of a time, a space too: two joined keys compare as the pairs do
        sql = (
            "WITH placed AS (SELECT created || char(1) || id AS key, substr(created, 1, 7) AS month, row_number() OVER "
            f"(PARTITION BY substr(created, 1, 7) ORDER BY created {way}, id {way}) - 1 AS place FROM pictures{where}) "
            f"SELECT month, place / {STRETCH} AS part, count(*) AS n, {first}(key) AS first, {last}(key) AS last "
            f"FROM placed GROUP BY month, part ORDER BY month {way}, part"
        )
        return [
            Stretch(row["month"], row["n"], _place(row["first"], "\x01"), _place(row["last"], "\x01"))
            for row in self._database.query(sql, values)
        ]

    def tiles(self, query: Query, stretch: Stretch | None = None) -> Sequence[Tile]:
        """The pictures of a stretch; without one, a page as ``Library.list`` gives it. Raises ``InvalidRequest``."""
        if stretch is None or query.sort != "created":
            page = query if stretch is None else replace(query, limit=stretch.count, offset=stretch.offset)
            sql, values = queries.select(page, full_text=self._full_text())
            sql = sql.replace(queries.columns(), _TILE, 1)
            return [_tile(row) for row in self._database.query(sql, values)]
        where, values = queries.conditions(query, full_text=self._full_text())
        low, high = sorted((stretch.first, stretch.last))
        bounds = "(created, pictures.id) >= (?, ?) AND (created, pictures.id) <= (?, ?)"
        order = "DESC" if query.descending else "ASC"
        sql = (
            f"SELECT {_TILE} FROM pictures{where}{' AND' if where else ' WHERE'} {bounds} "
            f"ORDER BY created {order}, pictures.id {order} LIMIT ?"
        )
        cells: list[Cell] = [*values, *low, *high, 2 * STRETCH]
        return [_tile(row) for row in self._database.query(sql, cells)]

    def newer(self, query: Query, than: Place) -> int:
        """How many pictures that a query finds are newer than one place."""
        where, values = queries.conditions(query, full_text=self._full_text())
        sql = f"SELECT count(*) FROM pictures{where}{' AND' if where else ' WHERE'} (created, pictures.id) > (?, ?)"
        return int(self._database.query(sql, [*values, *than])[0][0])

    def beside(self, query: Query, place: Place, without: Collection[str] = ()) -> tuple[str | None, str | None]:
        """Ids of the pictures before and after one, in a query's order, passing over those in ``without``; both
        ``None`` where it is not by age."""
        if query.sort != "created":
            return None, None
        found = []
        for descending in (not query.descending, query.descending):
            page = replace(query, after=place, descending=descending, limit=1 + len(without), offset=0)
            found.append(next((tile.id for tile in self.tiles(page) if tile.id not in without), None))
        return found[0], found[1]

    def models(self) -> Sequence[tuple[str, int]]:
        """Models of the pictures here, the most used first, each with its number of pictures."""
        sql = "SELECT model, count(*) AS n FROM pictures WHERE model <> '' GROUP BY model ORDER BY n DESC, model"
        return [(row["model"], row["n"]) for row in self._database.query(sql)]

    def reached(self, scorer: str, share: float) -> float | None:
        """The value that ``share`` (0 to 1) of a scorer's values here exceed or equal; ``None`` without values."""
        total = int(self._database.query("SELECT count(*) FROM scores WHERE scorer = ?", (scorer,))[0][0])
        sql = "SELECT value FROM scores WHERE scorer = ? ORDER BY value DESC LIMIT 1 OFFSET ?"
        rows = self._database.query(sql, (scorer, max(0, min(total - 1, int(total * share) - 1))))
        return float(rows[0]["value"]) if rows else None

    def family(self, id: str) -> Sequence[Entry]:
        """A picture's oldest known ancestor and all that came of it, oldest first; at most ``KIN``. A picture without
        kin is alone in it."""
        above = (
            "WITH RECURSIVE above (id, parent, depth) AS (SELECT id, parent, 0 FROM pictures WHERE id = ? UNION "
            "SELECT p.id, p.parent, depth + 1 FROM pictures p JOIN above a ON p.id = a.parent WHERE depth < 200) "
            "SELECT id FROM above ORDER BY depth DESC LIMIT 1"
        )
        rows = self._database.query(above, (id,))
        if not rows:
            return []
        below = (
            "WITH RECURSIVE below (id) AS (VALUES (?) UNION SELECT p.id FROM pictures p JOIN below b "
            f"ON p.parent = b.id) SELECT {queries.columns()} FROM pictures WHERE id IN (SELECT id FROM below) "
            f"ORDER BY created, id LIMIT {KIN}"
        )
        return [of_row(row, self._root) for row in self._database.query(below, (rows[0]["id"],))]

    def _pieces(self, query: Query) -> Sequence[Stretch]:
        sql, values = queries.count(query, full_text=self._full_text())
        total = int(self._database.query(sql, values)[0][0])
        nowhere = ("", "")
        return [Stretch("", min(STRETCH, total - k), nowhere, nowhere, k) for k in range(0, total, STRETCH)]


def stretch_of(first: str, last: str, offset: int, count: int) -> Stretch:
    """A stretch by what its address says. Raises ``InvalidRequest``."""
    if not first:
        return Stretch("", min(count, STRETCH), ("", ""), ("", ""), offset)
    places = [_place(each, "_") for each in (first, last)]
    if not all(id and created for created, id in places):
        raise InvalidRequest("the place in the gallery is none", field="from", hint="open the gallery anew")
    return Stretch(places[0][0][:7], STRETCH, places[0], places[1])


def key(place: Place) -> str:
    """A place as an address says it."""
    return "_".join(place)


def _place(joined: str, by: str) -> Place:
    created, _, id = joined.rpartition(by)
    return created, id


def _tile(row: sqlite3.Row) -> Tile:
    said = {name: row[name] for name in Tile.__slots__}
    return Tile(**said | {"lost": bool(row["lost"])})
