"""Which lines of a prompt file are drawn already, so that a second run draws only what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from limner.library.database import Database


class Runs:
    """Finished items by run. ``run_id`` is a hash of the settings, ``item_id`` names one line of the file."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root

    def mark(self, run_id: str, item_id: str, image_ids: Sequence[str]) -> None:
        """The item is finished, and these are its pictures. Marking it again replaces them."""
        values = (run_id, item_id, json.dumps(list(image_ids)))
        self._database.write("INSERT OR REPLACE INTO runs (run, item, images) VALUES (?, ?, ?)", values)

    def done(self, run_id: str) -> set[str]:
        """The items all of whose pictures are still in the library, with their files. Deleted or lost ones are not."""
        rows = self._database.query("SELECT item, images FROM runs WHERE run = ?", (run_id,))
        wanted = {row["item"]: json.loads(row["images"]) for row in rows}
        present = self._present(sorted({name for names in wanted.values() for name in names}))
        return {item for item, names in wanted.items() if names and present.issuperset(names)}

    def pictures(self, run_id: str, item_id: str) -> tuple[str, ...]:
        """The ids that were marked for an item; empty where there are none."""
        rows = self._database.query("SELECT images FROM runs WHERE run = ? AND item = ?", (run_id, item_id))
        return tuple(json.loads(rows[0]["images"])) if rows else ()

    def _present(self, names: Sequence[str]) -> set[str]:
        sql = "SELECT id, path FROM pictures WHERE id IN (SELECT value FROM json_each(?))"
        rows = self._database.query(sql, (json.dumps(names),))
        return {row["id"] for row in rows if (self._root / row["path"]).is_file()}
