"""What scoring remembers: scores by pixels, scorer and text, and the embeddings that scorers of one backbone share.

A cache and nothing else: all in it can be computed again, so it is bounded (the oldest goes first) and may be deleted
at any time. It is one SQLite file, or lives in memory where nothing is to be kept.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import ValidationError

from limner.errors import LibraryError, LimnerError, StorageError
from limner.types import Score

if TYPE_CHECKING:
    from limner.evaluate.metric import Embedding

MAX_BYTES = 512 * 2**20  # of embeddings: about 170,000 of 768 dimensions
MAX_SCORES = 500_000
_FULL, _READONLY, _CANTOPEN, _BUSY, _LOCKED = 13, 8, 14, 5, 6
_KEPT = 0.9  # of the bound is left after the oldest were dropped, so that not every write drops one
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS embeddings (n INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, shape TEXT NOT NULL, "
    "crc INTEGER NOT NULL, data BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS scores (n INTEGER PRIMARY KEY, pixels TEXT NOT NULL, scorer TEXT NOT NULL, "
    "revision TEXT NOT NULL, text TEXT NOT NULL, score TEXT NOT NULL, UNIQUE (pixels, scorer, revision, text))",
)


class ScoreKey(NamedTuple):
    """What decides a score: the tagged hash of the pixels, the scorer and its revision, the tagged hash of the text
    (``None`` for a scorer of pictures alone)."""

    pixels: str
    scorer: str
    revision: str
    text: str | None

    def row(self) -> tuple[str, str, str, str]:
        return (self.pixels, self.scorer, self.revision, self.text or "")


class ScoreCache:
    """Opened at first use; ``path=None`` keeps all in memory. Threads take turns, processes wait for each other.

    Every method may raise ``LibraryError`` (damaged: the message says which file to delete; in use) and
    ``StorageError`` (disk full, not writable).
    """

    def __init__(self, path: Path | None, *, max_bytes: int = MAX_BYTES, max_scores: int = MAX_SCORES) -> None:
        self.path = path
        self._max_bytes, self._max_scores = max_bytes, max_scores
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._bytes = self._scores = 0

    def get(self, key: str) -> Embedding | None:
        """The embedding kept under a key: float32, in the shape it was put."""
        with self._connected() as connection:
            row = connection.execute("SELECT shape, crc, data FROM embeddings WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        shape, crc, data = row
        try:
            lengths = [int(length) for length in json.loads(shape)]
        except (ValueError, TypeError) as error:
            raise self._damaged() from error
        if zlib.crc32(data) != crc or len(data) != 4 * math.prod(lengths):
            raise self._damaged()
        return np.frombuffer(data, np.float32).reshape(lengths).copy()

    def put(self, key: str, embedding: Embedding) -> None:
        """Keep an embedding, as float32; the same key is replaced."""
        values = np.ascontiguousarray(embedding, np.float32)
        data = values.tobytes()
        row = (key, json.dumps(values.shape), zlib.crc32(data), data)
        with self._connected() as connection, connection:
            connection.execute("INSERT OR REPLACE INTO embeddings (key, shape, crc, data) VALUES (?, ?, ?, ?)", row)
            self._bytes += len(data)
            if self._bytes > self._max_bytes:
                self._bytes = _drop_embeddings(connection, int(_KEPT * self._max_bytes))

    def score(self, key: ScoreKey) -> Score | None:
        """The score kept under a key."""
        sql = "SELECT score FROM scores WHERE pixels = ? AND scorer = ? AND revision = ? AND text = ?"
        with self._connected() as connection:
            row = connection.execute(sql, key.row()).fetchone()
        if row is None:
            return None
        try:
            return Score.model_validate_json(row[0])
        except ValidationError as error:
            raise self._damaged() from error

    def keep(self, scores: Mapping[ScoreKey, Score] | Iterable[tuple[ScoreKey, Score]]) -> None:
        """Keep scores, all in one transaction."""
        pairs = scores.items() if isinstance(scores, Mapping) else scores
        rows = [(*key.row(), score.model_dump_json()) for key, score in pairs]
        if not rows:
            return
        sql = "INSERT OR REPLACE INTO scores (pixels, scorer, revision, text, score) VALUES (?, ?, ?, ?, ?)"
        with self._connected() as connection, connection:
            connection.executemany(sql, rows)
            self._scores += len(rows)
            if self._scores > self._max_scores:
                kept = int(_KEPT * self._max_scores)
                connection.execute(
                    "DELETE FROM scores WHERE n NOT IN (SELECT n FROM scores ORDER BY n DESC LIMIT ?)", (kept,)
                )
                self._scores = kept

    def close(self) -> None:
        """The next use opens it again; what was kept in memory is gone."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection or self._open()
            except sqlite3.Error as error:
                raise self._worded(error) from error

    def _open(self) -> sqlite3.Connection:
        where = ":memory:" if self.path is None else str(self.path)
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(
                    f"{self.path} cannot be written: {error.strerror}", hint="check the folder"
                ) from error
        connection = sqlite3.connect(where, timeout=10, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # a power cut costs the last entries, never the file
            for statement in SCHEMA:
                connection.execute(statement)
            self._bytes = int(connection.execute("SELECT ifnull(sum(length(data)), 0) FROM embeddings").fetchone()[0])
            self._scores = int(connection.execute("SELECT count(*) FROM scores").fetchone()[0])
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _worded(self, error: sqlite3.Error) -> LimnerError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (_FULL, _READONLY, _CANTOPEN):
            return StorageError(f"{self.path} cannot be written: {error}", hint="free some space, or check the folder")
        if code in (_BUSY, _LOCKED):
            return LibraryError(f"{self.path} is in use by another program", hint="try again when it has finished")
        return self._damaged()

    def _damaged(self) -> LibraryError:
        return LibraryError(
            f"what scoring remembers, {self.path}, is damaged",
            hint="delete that file: all in it can be computed again, and pictures' scores are kept elsewhere",
        )


def _drop_embeddings(connection: sqlite3.Connection, kept: int) -> int:
    """Drop the oldest until about ``kept`` bytes are left; the bytes left."""
    so_far, last = 0, None
    for n, size in connection.execute("SELECT n, length(data) FROM embeddings ORDER BY n DESC"):
        if so_far + size > kept:
            break
        so_far, last = so_far + size, n
    connection.execute("DELETE FROM embeddings WHERE n < ?", (last,)) if last is not None else connection.execute(
        "DELETE FROM embeddings"
    )
    return so_far
