"""Hashes of model files, remembered: a file is read again only when its size or times have changed.

The memory is a small SQLite file in the cache folder. Losing it costs time only, so no failure of it is an error.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from limner.canonical import file_hash
from limner.errors import ModelNotFound

SCHEMA = "CREATE TABLE IF NOT EXISTS hashes (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, hash TEXT NOT NULL) STRICT"
BUSY_SECONDS = 2.0

Known: TypeAlias = "dict[str, tuple[str, str]]"


class Hashes:
    """Tagged sha256 of files, remembered in ``folder`` by path, size, modification and change time."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "hashes.sqlite"

    def of(self, paths: Iterable[Path]) -> Mapping[Path, str]:
        """``sha256:...`` of each file. Raises ``ModelNotFound`` for one that cannot be read."""
        wanted = {path: path.resolve() for path in paths}
        known = self._recall(str(real) for real in wanted.values())
        found: dict[Path, str] = {}
        fresh: Known = {}
        for path, real in wanted.items():
            stamp = _stamp(real)
            remembered = known.get(str(real))
            if remembered is not None and remembered[0] == stamp:
                found[path] = remembered[1]
                continue
            found[path] = _read(real)
            fresh[str(real)] = (stamp, found[path])
        if fresh:
            self._remember(fresh)
        return found

    def fresh(self, path: Path) -> str:
        """``sha256:...`` of a file read now, whatever was remembered. Raises ``ModelNotFound``."""
        real = path.resolve()
        stamp, found = _stamp(real), _read(real)
        self._remember({str(real): (stamp, found)})
        return found

    def remembered(self, path: Path) -> str | None:
        """``sha256:...`` that a file had when it was last read, though it may have changed since; else ``None``."""
        real = str(path.resolve())
        found = self._recall([real]).get(real)
        return None if found is None else found[1]

    def _recall(self, names: Iterable[str]) -> Known:
        if not self.file.exists():
            return {}
        wanted = list(names)
        marks = ",".join("?" * len(wanted))
        query = f"SELECT path, stamp, hash FROM hashes WHERE path IN ({marks})"
        try:
            with closing(sqlite3.connect(self.file, timeout=BUSY_SECONDS)) as database:
                return {path: (stamp, tagged) for path, stamp, tagged in database.execute(query, wanted)}
        except sqlite3.Error:
            return {}

    def _remember(self, fresh: Known) -> None:
        rows = [(path, stamp, tagged) for path, (stamp, tagged) in fresh.items()]
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.file, timeout=BUSY_SECONDS)) as database, database:
                database.execute(SCHEMA)
                database.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", rows)
        except (OSError, sqlite3.OperationalError):  # locked, read-only, full: hash again next time
            return
        except sqlite3.DatabaseError:
            self.file.unlink(missing_ok=True)  # damaged: begin anew


def _stamp(path: Path) -> str:
    """What changes when a file does. The change time too: tools set the modification time back, never this one."""
    try:
        stat = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"


def _read(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> ModelNotFound:
    return ModelNotFound(f"{path.name} cannot be read: {error.strerror}", hint=f"look at {path}")


def git_blob_hash(path: Path) -> str:
    """The name git gives a file's content: sha1 over ``blob <size>\\0`` and the bytes. Small files only."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
