"""The durable queue: SQLite, every commit on the disk before an answer is given. An accepted job survives kill -9."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.library.entries import IdClock
from limner.serve.jobs import OVER, Ask, Body, Job, Kind, State, Trouble
from limner.serve.places import Places, Promise
from limner.serve.queue_file import QueueFile
from limner.types import Notice

DEATHS = 2
"""How often a worker may die under a job without one more picture made."""
STARTS = 20
"""How often a job is begun at all: a server may be killed again and again through no fault of the job's."""


@dataclass(frozen=True, slots=True)
class Next:
    """The head of the line. ``deaths``: how often a worker died under it, with nothing made since."""

    id: str
    kind: Kind
    deaths: int


@dataclass(frozen=True, slots=True)
class Started:
    """A job that was taken to run: all that was asked, what was made before, and which attempt this is."""

    ask: Ask
    made: Mapping[int, str]
    attempt: int


class Queue:
    """Jobs in ``root/queue.db``. Threads take turns. Every method raises ``StorageError`` where the disk does.

    ``places`` counts the pictures (or other pieces of work) that are accepted and not finished.
    """

    def __init__(self, root: Path) -> None:
        self._file = QueueFile(root)
        self.path = self._file.path
        self._clock = IdClock()
        self._newest = 0.0
        self.places = Places(self.waiting())

    def close(self) -> None:
        self._file.close()

    def accept(self, ask: Ask, room: Promise | None = None) -> tuple[Job, bool]:
        """The job of ``ask``, on the disk, and whether it is new: an idempotency key seen before gives its job.
        ``room``: what was promised for it."""
        with self._file.writing() as connection:
            if ask.key is not None and (known := _by_key(connection, ask.key)) is not None:
                return known, False
            now = self._newest = max(time.time(), self._newest + 1e-6)  # so that no two are of one age
            name = self._clock.next()
            last = connection.execute("SELECT max(position) FROM jobs WHERE state = 'queued'").fetchone()[0]
            connection.execute(
                "INSERT INTO jobs (id, kind, state, ask, plans, n, position, key, created, deadline, notices) "
                "VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    name,
                    ask.kind,
                    ask.model_dump_json(exclude={"plans"}),
                    json.dumps([dict(each) for each in ask.plans]),
                    ask.n,
                    (last or 0.0) + 1.0,
                    ask.key,
                    now,
                    None if ask.deadline is None else now + ask.deadline,
                    _dumped(ask.notices),
                ),
            )
            job, held = _job(connection, name), self.waiting()  # once it is on the disk, nothing more can fail
        self.places.count(held, kept=room)
        return job, True

    def get(self, name: str) -> Job | None:
        """A job by id; ``None`` where there is none."""
        with self._file.reading() as connection:
            found = connection.execute("SELECT id FROM jobs WHERE id = ?", (name,)).fetchone()
            return None if found is None else _job(connection, name)

    def by_key(self, key: str) -> Job | None:
        """The job that was accepted with an idempotency key."""
        with self._file.reading() as connection:
            return _by_key(connection, key)

    def ask(self, name: str) -> Ask:
        """What was asked, Plans included; those of a job that is over are gone."""
        with self._file.reading() as connection:
            return _ask(connection.execute("SELECT ask, plans FROM jobs WHERE id = ?", (name,)).fetchone())

    def listed(self, *states: State, limit: int = 100, before: float | None = None) -> list[Job]:
        """Jobs: those waiting in their order, others newest first. ``before``: created earlier than that."""
        chosen = states or ("queued", "running", *sorted(OVER))
        order = "position, id" if chosen == ("queued",) else "created DESC, id DESC"
        sql = f"SELECT id FROM jobs WHERE state IN ({', '.join('?' * len(chosen))}) AND created < ?"
        with self._file.reading() as connection:
            rows = connection.execute(
                f"{sql} ORDER BY {order} LIMIT ?", (*chosen, 1e18 if before is None else before, limit)
            ).fetchall()
            return [_job(connection, row["id"]) for row in rows]

    def standing(self, limit: int) -> tuple[list[Job], list[Job]]:
        """What runs, newest first, and what waits, in its order, at one moment: what is begun is in one of them."""
        with self._file.reading():
            return self.listed("running", limit=limit), self.listed("queued", limit=limit)

    def waiting(self) -> int:
        """Pictures (or other pieces of work) that are accepted and not finished."""
        with self._file.reading() as connection:
            made = "(SELECT count(*) FROM made WHERE made.job = jobs.id)"  # of a study more than was said
            sql = f"SELECT coalesce(sum(max(kind != 'draw', n - {made})), 0) FROM jobs"
            return int(connection.execute(f"{sql} WHERE state IN ('queued', 'running')").fetchone()[0])

    def next(self, without: Iterable[Kind] = ()) -> Next | None:
        """The first that waits, of kinds that are not ``without``."""
        kinds = tuple(without)
        sql = (
            f"SELECT id, kind, deaths FROM jobs WHERE state = 'queued' AND kind NOT IN ({', '.join('?' * len(kinds))})"
        )
        with self._file.reading() as connection:
            row = connection.execute(f"{sql} ORDER BY position, id LIMIT 1", kinds).fetchone()
            return None if row is None else Next(row["id"], row["kind"], row["deaths"])

    def running(self) -> list[str]:
        """Ids of the jobs that run, in the order in which they were begun."""
        with self._file.reading() as connection:
            rows = connection.execute("SELECT id FROM jobs WHERE state = 'running' ORDER BY started, id").fetchall()
            return [row["id"] for row in rows]

    def overdue(self, now: float) -> list[str]:
        """Ids of the jobs that are not over at their deadline."""
        sql = "SELECT id FROM jobs WHERE state IN ('queued', 'running') AND deadline <= ?"
        with self._file.reading() as connection:
            return [row["id"] for row in connection.execute(sql, (now,)).fetchall()]

    def start(self, name: str) -> Started | None:
        """Take a waiting job to run. ``None`` where it is not waiting (any more)."""
        sql = (
            "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1 WHERE id = ? AND state = 'queued'"
        )
        with self._file.writing() as connection:
            if connection.execute(sql, (time.time(), name)).rowcount != 1:
                return None
            row = connection.execute("SELECT ask, plans, attempts FROM jobs WHERE id = ?", (name,)).fetchone()
            made = connection.execute("SELECT place, picture FROM made WHERE job = ?", (name,)).fetchall()
            return Started(_ask(row), {each["place"]: each["picture"] for each in made}, row["attempts"])

    def made(self, name: str, place: int, picture: str) -> None:
        """Picture ``place`` (from 0) of a job is in the library."""
        sql = "INSERT OR IGNORE INTO made (job, place, picture) VALUES (?, ?, ?)"
        with self._file.writing() as connection:
            connection.execute(sql, (name, place, picture))
            connection.execute("UPDATE jobs SET deaths = 0 WHERE id = ? AND deaths > 0", (name,))
            held = self.waiting()
        self.places.count(held)

    def is_made(self, picture: str) -> bool:
        """Whether a picture belongs to some job."""
        with self._file.reading() as connection:
            return connection.execute("SELECT 1 FROM made WHERE picture = ?", (picture,)).fetchone() is not None

    def warn(self, name: str, notice: Notice) -> None:
        """Add a notice, unless it is there already."""
        with self._file.writing() as connection:
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
        sql = "UPDATE jobs SET state = ?, ended = ?, error = ?, result = ?, plans = '[]'"
        with self._file.writing() as connection:
            ended = connection.execute(f"{sql} WHERE id = ? AND state IN ('queued', 'running')", values).rowcount == 1
            held = self.waiting()
        self.places.count(held)
        return ended

    def again(self, *names: str, died: Iterable[str] = (), undone: bool = False) -> list[str]:
        """Running jobs back to the head of the line, in the order in which they were begun: those that may be begun
        once more. Of those in ``died`` the worker's death is counted; ``undone`` does not count this attempt at all.
        """
        guilty = set(died)
        with self._file.writing() as connection:
            marks = ", ".join("?" * len(names))
            sql = f"SELECT id, attempts, deaths FROM jobs WHERE state = 'running' AND id IN ({marks})"
            rows = connection.execute(f"{sql} ORDER BY started, id", names).fetchall()
            first = connection.execute("SELECT min(position) FROM jobs WHERE state = 'queued'").fetchone()[0]
            back: list[str] = []
            for row in rows:
                deaths = row["deaths"] + (row["id"] in guilty)
                attempts = row["attempts"] - undone
                connection.execute(
                    "UPDATE jobs SET deaths = ?, attempts = ? WHERE id = ?", (deaths, attempts, row["id"])
                )
                if deaths < DEATHS and attempts < STARTS:
                    back.append(row["id"])
            head = (1.0 if first is None else first) - len(back)
            connection.executemany(
                "UPDATE jobs SET state = 'queued', position = ? WHERE id = ?",
                [(head + k, each) for k, each in enumerate(back)],
            )
            return back

    def move(self, name: str, before: str | None) -> bool:
        """Put a waiting job before another, or at the end. False where one of them is not waiting."""
        with self._file.writing() as connection:
            rows = connection.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY position, id").fetchall()
            order = [row["id"] for row in rows]
            if name not in order or before == name or (before is not None and before not in order):
                return False
            order.remove(name)
            order.insert(len(order) if before is None else order.index(before), name)
            connection.executemany(
                "UPDATE jobs SET position = ? WHERE id = ?", [(float(k + 1), each) for k, each in enumerate(order)]
            )
            return True

    def forget(self, older_than: float) -> int:
        """Drop jobs that were over before a time; their pictures stay in the library."""
        with self._file.writing() as connection:
            return connection.execute("DELETE FROM jobs WHERE ended IS NOT NULL AND ended < ?", (older_than,)).rowcount


def _by_key(connection: sqlite3.Connection, key: str) -> Job | None:
    row = connection.execute("SELECT id FROM jobs WHERE key = ?", (key,)).fetchone()
    return None if row is None else _job(connection, row["id"])


def _ask(row: sqlite3.Row) -> Ask:
    return Ask.model_validate({**json.loads(row["ask"]), "plans": json.loads(row["plans"])})


def _job(connection: sqlite3.Connection, name: str) -> Job:
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


def _place(connection: sqlite3.Connection, row: sqlite3.Row) -> int:
    sql = "SELECT count(*) FROM jobs WHERE state = 'queued' AND (position, id) < (?, ?)"
    return int(connection.execute(sql, (row["position"], row["id"])).fetchone()[0]) + 1


def _notices(text: str) -> tuple[Notice, ...]:
    return tuple(Notice.model_validate(each) for each in json.loads(text))


def _dumped(notices: Sequence[Notice]) -> str:
    return json.dumps([each.model_dump() for each in notices])
