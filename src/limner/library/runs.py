"""Which pictures of a prompt file are drawn already, so that a second run draws only what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.library.database import Database


@dataclass(frozen=True, slots=True)
class RunItem:
    """One line of a prompt file: the seed its pictures start from, and their ids by place.

    An id is ``None`` where that picture is not drawn yet, or is no longer there, file and row. ``seed`` is ``None``
    where the line was drawn by a Limner that did not keep it.
    """

    seed: int | None
    pictures: tuple[str | None, ...]


class Runs:
    """Pictures by run, item and place. ``run_id`` is a hash of the file's path, ``item_id`` of one line and options."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root

    def start(self, run_id: str, item_id: str, seed: int, pictures: Sequence[str | None]) -> None:
        """The item is about to be drawn from ``seed``; its pictures that are not ``None`` are there already."""
        values = (run_id, item_id, json.dumps(list(pictures)), seed)
        self._database.write("INSERT OR REPLACE INTO runs (run, item, images, seed) VALUES (?, ?, ?, ?)", values)

    def add(self, run_id: str, item_id: str, place: int, picture: str) -> None:
        """Picture number ``place`` (from 0) of a started item is drawn."""
        sql = "UPDATE runs SET images = json_replace(images, '$[' || ? || ']', ?) WHERE run = ? AND item = ?"
        self._database.write(sql, (place, picture, run_id, item_id))

    def done(self, run_id: str) -> set[str]:
        """The items all of whose pictures are drawn and still in the library, with their files."""
        rows = self._database.query("SELECT item, images FROM runs WHERE run = ?", (run_id,))
        wanted: dict[str, list[str | None]] = {row["item"]: json.loads(row["images"]) for row in rows}
        present = self._present({name for names in wanted.values() for name in names if name is not None})
        return {item for item, names in wanted.items() if names and present.issuperset(names)}

    def item(self, run_id: str, item_id: str) -> RunItem | None:
        """What is there of an item; ``None`` where it was never started."""
        rows = self._database.query("SELECT images, seed FROM runs WHERE run = ? AND item = ?", (run_id, item_id))
        if not rows:
            return None
        names: list[str | None] = json.loads(rows[0]["images"])
        present = self._present({name for name in names if name is not None})
        return RunItem(rows[0]["seed"], tuple(name if name in present else None for name in names))

    def _present(self, names: set[str]) -> set[str]:
        sql = "SELECT id, path FROM pictures WHERE id IN (SELECT value FROM json_each(?))"
        rows = self._database.query(sql, (json.dumps(sorted(names)),))
        return {row["id"] for row in rows if (self._root / row["path"]).is_file()}
