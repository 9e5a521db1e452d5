"""One SQLite connection, shared by threads, with errors in the library's words."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from limner.disk import storage_error
from limner.errors import LibraryError, LimnerError, StorageError
from limner.library.migrations import migrate, version

Cell = str | int | float | None
NAME = "limner.db"
BUSY_MS = 10_000
_BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 6, 8, 10, 11, 13, 14, 26


class Database:
    """``root/limner.db``: opened at first use, WAL, every commit on the disk before it returns.

    Threads take turns on one connection; processes wait up to ten seconds for each other. All methods raise
    ``LibraryError`` (damaged, in use, too new) or ``StorageError`` (disk full, not writable). ``on_created`` is called
    once where the database did not exist, and may use it.
    """

    def __init__(self, root: Path, *, on_created: Callable[[], None] | None = None, busy_ms: int = BUSY_MS) -> None:
        self.root = root
        self.path = root / NAME
        self._busy_ms = busy_ms
        self._on_created = on_created
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def query(self, sql: str, values: Sequence[Cell] = ()) -> list[sqlite3.Row]:
        """Rows of a SELECT."""
        with self._lock, self._translated():
            rows: list[sqlite3.Row] = self._open().execute(sql, values).fetchall()
            return rows

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed at the end of the block, rolled back where it raises."""
        with self._lock, self._translated():
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def write(self, sql: str, values: Sequence[Cell] = ()) -> int:
        """One statement in its own transaction; the number of rows it touched."""
        with self.writing() as connection:
            return connection.execute(sql, values).rowcount

    def write_many(self, sql: str, rows: Iterable[Sequence[Cell]]) -> None:
        with self.writing() as connection:
            connection.executemany(sql, rows)

    def has_table(self, name: str) -> bool:
        return bool(self.query("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)))

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, self.path) from error
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute(f"PRAGMA busy_timeout = {self._busy_ms}")
            _to_wal(connection, self.path)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            fresh = version(connection) == 0
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        if fresh and self._on_created is not None:
            self._on_created()
        return connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _worded(error, self.path) from error


def _to_wal(connection: sqlite3.Connection, path: Path) -> None:
    """An empty file has nothing to roll back to: without a journal on disk its first page costs one fsync, not five."""
    if not path.is_file() or path.stat().st_size == 0:
        with contextlib.suppress(sqlite3.OperationalError):  # another process was quicker
            connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA journal_mode = WAL")


def _worded(error: sqlite3.Error, path: Path) -> LimnerError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (_CORRUPT, _NOTADB):
        return LibraryError(
            f"the library's database {path} is damaged",
            hint="move it away: the pictures beside it carry their records, and the next start adopts them again",
        )
    if code in (_BUSY, _LOCKED):
        return LibraryError(f"the library {path} is in use by another program", hint="try again when it has finished")
    if code == _FULL:
        return StorageError(f"the disk is full: {path} could not be written", hint="free some space")
    if code in (_READONLY, _CANTOPEN):
        return StorageError(
            f"{path} cannot be opened for writing",
            hint="check the folder's permissions, or set LIMNER_HOME to another folder",
        )
    if code == _IOERR:
        return StorageError(f"{path} could not be read or written: {error}", hint="check the disk (limner doctor)")
    return LibraryError(f"the library {path} answered: {error}", hint="limner doctor checks the library")
