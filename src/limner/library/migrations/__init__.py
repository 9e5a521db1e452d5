"""The library's schema, as numbered SQL files applied in order; SQLite's ``user_version`` counts those applied.

A file that begins with ``-- needs: MODULE`` is passed over where this SQLite was built without that module.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from importlib.resources import files

from limner.errors import LibraryError


def scripts() -> list[str]:
    """The SQL of every migration, in order."""
    found = sorted(item.name for item in files(__name__).iterdir() if re.fullmatch(r"\d{4}_\w+\.sql", item.name))
    return [files(__name__).joinpath(name).read_text(encoding="utf-8") for name in found]


def version(connection: sqlite3.Connection) -> int:
    """How many migrations the database has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest schema, all or nothing. Raises ``LibraryError`` where it is newer than Limner.

    ``connection`` is in autocommit mode. Two processes may call at once: the second finds the work done.
    """
    wanted = scripts()
    done = version(connection)
    if done > len(wanted):
        raise LibraryError(
            f"the library has schema {done}, this Limner knows up to {len(wanted)}",
            hint="update Limner, or set LIMNER_HOME to another folder",
        )
    if done == len(wanted):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = version(connection)
        for script in wanted[done:]:
            if _possible(connection, script):
                for statement in _statements(script):
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(wanted)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _possible(connection: sqlite3.Connection, script: str) -> bool:
    needs = re.match(r"-- needs: (\w+)", script)
    modules = {row[0] for row in connection.execute("SELECT name FROM pragma_module_list")}
    return needs is None or needs[1] in modules


def _statements(script: str) -> Iterator[str]:
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
