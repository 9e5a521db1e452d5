"""The queue's file: its tables, and SQLite with every commit on the disk before it returns."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from limner.disk import storage_error
from limner.errors import LibraryError, StorageError

NAME = "queue.db"
_SCHEMA = 2
_TABLES = """
CREATE TABLE jobs (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, ask TEXT NOT NULL, plans TEXT NOT NULL,
  n INTEGER NOT NULL, position REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, deaths INTEGER NOT NULL DEFAULT 0,
  key TEXT UNIQUE, created REAL NOT NULL, started REAL, ended REAL, deadline REAL,
  notices TEXT NOT NULL DEFAULT '[]', result TEXT, error TEXT
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, position);
CREATE INDEX jobs_by_age ON jobs (created);
CREATE TABLE made (
  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, place INTEGER NOT NULL, picture TEXT NOT NULL UNIQUE,
  PRIMARY KEY (job, place)
) STRICT;
"""
_FROM_1 = """
ALTER TABLE jobs ADD COLUMN plans TEXT NOT NULL DEFAULT '[]';
ALTER TABLE jobs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET plans = coalesce(json_extract(ask, '$.plans'), '[]'), ask = json_remove(ask, '$.plans');
"""


class QueueFile:
    """One connection to ``root/queue.db``; threads take turns. Raises ``StorageError``, ``LibraryError``."""

    def __init__(self, root: Path) -> None:
        self.path = root / NAME
        self._lock = threading.RLock()
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._connection = _opened(self.path)
        except OSError as error:
            raise storage_error(error, self.path) from error
        except sqlite3.Error as error:
            raise _worded(error, self.path) from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise _worded(error, self.path) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: on the disk when the block ends, undone where it raises."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA busy_timeout = 10000")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    seen = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if seen > _SCHEMA:
        raise LibraryError(f"{path} is of a newer Limner", hint="update Limner, or set LIMNER_HOME to another folder")
    if seen < _SCHEMA:
        change = _TABLES if seen == 0 else _FROM_1
        connection.executescript(f"BEGIN IMMEDIATE; {change} PRAGMA user_version = {_SCHEMA}; COMMIT;")


def _worded(error: sqlite3.Error, path: Path) -> LibraryError | StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageError(f"the disk is full: {path} could not be written", hint="free some space")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return LibraryError(f"the queue {path} is damaged", hint="move it away; the pictures are in the library")
    return StorageError(f"the queue {path} answered: {error}", hint="check the disk and the folder's permissions")
