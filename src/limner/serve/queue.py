"""The durable queue: SQLite, every commit on the disk before an answer is given. An accepted job survives kill -9."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from limner.disk import storage_error
from limner.errors import LibraryError, StorageError
from limner.library.entries import IdClock
from limner.serve.jobs import OVER, Ask, Body, Job, State, Trouble
from limner.types import Notice

NAME = "queue.db"
ATTEMPTS = 2
_SCHEMA = 1
_TABLES = """
CREATE TABLE jobs (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, ask TEXT NOT NULL, n INTEGER NOT NULL,
  position REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, key TEXT UNIQUE,
  created REAL NOT NULL, started REAL, ended REAL, deadline REAL,
  notices TEXT NOT NULL DEFAULT '[]', result TEXT, error TEXT
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, position);
CREATE INDEX jobs_by_age ON jobs (created);
CREATE TABLE made (
  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, place INTEGER NOT NULL, picture TEXT NOT NULL UNIQUE,
  PRIMARY KEY (job, place)
) STRICT;
"""


class Queue:
    """Jobs in ``root/queue.db``. Threads take turns. Every method raises ``StorageError`` where the disk does."""

    def __init__(self, root: Path) -> None:
        self.path = root / NAME
        self._lock = threading.RLock()
        self._clock = IdClock()
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

    def accept(self, ask: Ask) -> tuple[Job, bool]:
        """The job of ``ask``, on the disk, and whether it is new: an idempotency key seen before gives its job."""
        now = time.time()
        with self._writing() as connection:
            if ask.key is not None:
                row = connection.execute("SELECT id FROM jobs WHERE key = ?", (ask.key,)).fetchone()
                if row is not None:
                    return self._job(connection, row["id"]), False
            name = self._clock.next()
            last = connection.execute("SELECT max(position) FROM jobs WHERE state = 'queued'").fetchone()[0]
            connection.execute(
                "INSERT INTO jobs (id, kind, state, ask, n, position, key, created, deadline, notices) "
                "VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?)",
                (
                    name,
                    ask.kind,
                    ask.model_dump_json(),
                    ask.n,
                    (last or 0.0) + 1.0,
                    ask.key,
                    now,
                    None if ask.deadline is None else now + ask.deadline,
                    _dumped(ask.notices),
                ),
            )
            return self._job(connection, name), True

    def get(self, name: str) -> Job | None:
        """A job by id; ``None`` where there is none."""
        with self._reading() as connection:
            found = connection.execute("SELECT id FROM jobs WHERE id = ?", (name,)).fetchone()
            return None if found is None else self._job(connection, name)

    def ask(self, name: str) -> Ask:
        """What was asked, Plans included."""
        with self._reading() as connection:
            row = connection.execute("SELECT ask FROM jobs WHERE id = ?", (name,)).fetchone()
            return Ask.model_validate_json(row["ask"])

    def list(self, *states: State, limit: int = 100, before: float | None = None) -> list[Job]:
        """Jobs: those waiting in their order, others newest first. ``before``: created earlier than that."""
        chosen = states or ("queued", "running", *sorted(OVER))
        order = "position, created" if chosen == ("queued",) else "created DESC"
        sql = f"SELECT id FROM jobs WHERE state IN ({', '.join('?' * len(chosen))}) AND created < ?"
        with self._reading() as connection:
            rows = connection.execute(
                f"{sql} ORDER BY {order} LIMIT ?", (*chosen, 1e18 if before is None else before, limit)
            ).fetchall()
            return [self._job(connection, row["id"]) for row in rows]

    def waiting(self) -> int:
        """Pictures (or other pieces of work) that are accepted and not finished."""
        with self._reading() as connection:
            sql = "SELECT coalesce(sum(n - (SELECT count(*) FROM made WHERE made.job = jobs.id)), 0) FROM jobs"
            return int(connection.execute(f"{sql} WHERE state IN ('queued', 'running')").fetchone()[0])

    def start(self, name: str) -> bool:
        """Take a waiting job to run. False where it is not waiting (any more)."""
        sql = (
            "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1 WHERE id = ? AND state = 'queued'"
        )
        with self._writing() as connection:
            return connection.execute(sql, (time.time(), name)).rowcount == 1

    def made(self, name: str, place: int, picture: str) -> None:
        """Picture ``place`` (from 0) of a job is in the library."""
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO made (job, place, picture) VALUES (?, ?, ?)", (name, place, picture)
            )

    def is_made(self, picture: str) -> bool:
        """Whether a picture belongs to some job."""
        with self._reading() as connection:
            return connection.execute("SELECT 1 FROM made WHERE picture = ?", (picture,)).fetchone() is not None

    def warn(self, name: str, notice: Notice) -> None:
        """Add a notice, unless it is there already."""
        with self._writing() as connection:
            row = connection.execute("SELECT notices FROM jobs WHERE id = ?", (name,)).fetchone()
            notices = _notices(row["notices"])
            if notice not in notices:
                values = (_dumped((*notices, notice)), name)
                connection.execute("UPDATE jobs SET notices = ? WHERE id = ?", values)

    def end(self, name: str, state: State, *, error: Trouble | None = None, result: Body | None = None) -> bool:
        """A job is over. False where it was over before: the first end holds."""
        values = (
            state,
            time.time(),
            None if error is None else error.model_dump_json(),
            None if result is None else json.dumps(dict(result)),
            name,
        )
        sql = "UPDATE jobs SET state = ?, ended = ?, error = ?, result = ?"
        with self._writing() as connection:
            return connection.execute(f"{sql} WHERE id = ? AND state IN ('queued', 'running')", values).rowcount == 1

    def again(self, name: str) -> bool:
        """Back to the head of the line after the worker died; False where its attempts are spent."""
        with self._writing() as connection:
            row = connection.execute("SELECT attempts, state FROM jobs WHERE id = ?", (name,)).fetchone()
            if row is None or row["state"] != "running" or row["attempts"] >= ATTEMPTS:
                return False
            first = connection.execute("SELECT min(position) FROM jobs WHERE state = 'queued'").fetchone()[0]
            position = (1.0 if first is None else first) - 1.0
            connection.execute("UPDATE jobs SET state = 'queued', position = ? WHERE id = ?", (position, name))
            return True

    def move(self, name: str, before: str | None) -> bool:
        """Put a waiting job before another, or at the end. False where one of them is not waiting."""
        with self._writing() as connection:
            rows = connection.execute(
                "SELECT id, position FROM jobs WHERE state = 'queued' AND id != ? ORDER BY position, created", (name,)
            ).fetchall()
            order = [row["id"] for row in rows]
            waits = connection.execute("SELECT 1 FROM jobs WHERE id = ? AND state = 'queued'", (name,)).fetchone()
            if waits is None or (before is not None and before not in order):
                return False
            order.insert(len(order) if before is None else order.index(before), name)
            connection.executemany(
                "UPDATE jobs SET position = ? WHERE id = ?", [(float(k + 1), each) for k, each in enumerate(order)]
            )
            return True

    def forget(self, older_than: float) -> int:
        """Drop jobs that were over before a time; their pictures stay in the library."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM jobs WHERE ended IS NOT NULL AND ended < ?", (older_than,)).rowcount

    def _job(self, connection: sqlite3.Connection, name: str) -> Job:
        row = connection.execute("SELECT * FROM jobs WHERE id = ?", (name,)).fetchone()
        ask = Ask.model_validate_json(row["ask"])
        pictures: list[str | None] = [None] * row["n"]
        for each in connection.execute("SELECT place, picture FROM made WHERE job = ? ORDER BY place", (name,)):
            pictures += [None] * (each["place"] + 1 - len(pictures))
            pictures[each["place"]] = each["picture"]
        return Job(
            id=name,
            kind=ask.kind,
            state=row["state"],
            body=ask.body,
            n=row["n"],
            title=ask.title,
            client=ask.client,
            attempts=row["attempts"],
            position=row["position"],
            created=row["created"],
            started=row["started"],
            ended=row["ended"],
            deadline=row["deadline"],
            pictures=tuple(pictures),
            notices=_notices(row["notices"]),
            result=None if row["result"] is None else json.loads(row["result"]),
            error=None if row["error"] is None else Trouble.model_validate_json(row["error"]),
            place=_place(connection, row) if row["state"] == "queued" else None,
        )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise _worded(error, self.path) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
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
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    seen = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if seen > _SCHEMA:
        raise LibraryError(f"{path} is of a newer Limner", hint="update Limner, or set LIMNER_HOME to another folder")
    if seen == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_SCHEMA}; COMMIT;")
    return connection


def _place(connection: sqlite3.Connection, row: sqlite3.Row) -> int:
    sql = "SELECT count(*) FROM jobs WHERE state = 'queued' AND (position, created) < (?, ?)"
    return int(connection.execute(sql, (row["position"], row["created"])).fetchone()[0]) + 1


def _notices(text: str) -> tuple[Notice, ...]:
    return tuple(Notice.model_validate(each) for each in json.loads(text))


def _dumped(notices: Sequence[Notice]) -> str:
    return json.dumps([each.model_dump() for each in notices])


def _worded(error: sqlite3.Error, path: Path) -> LibraryError | StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageError(f"the disk is full: {path} could not be written", hint="free some space")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return LibraryError(f"the queue {path} is damaged", hint="move it away; the pictures are in the library")
    return StorageError(f"the queue {path} answered: {error}", hint="check the disk and the folder's permissions")
