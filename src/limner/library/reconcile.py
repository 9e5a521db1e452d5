"""Bring rows and files together again after a crash, a hand in the folder, or the loss of the database."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from limner.errors import LimnerError
from limner.library.database import Database
from limner.library.entries import ID, INSERT, Entry, IdClock, stored_path, to_row
from limner.library.imports import Problem, picture_files, read_entry

_STALE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was done: ids of files ``adopted`` and rows found ``lost`` or ``found`` again; files nobody can read."""

    adopted: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def reconcile(database: Database, root: Path, images: Path, clock: IdClock) -> Reconciled:
    """A file without a row is adopted by the Record it carries; a row without a file is marked lost; a file that is
    there again is no longer lost. Temporary files of a killed process go after an hour."""
    rows = database.query("SELECT id, path, lost FROM pictures")
    gone = set(absent(database, root))
    lost = tuple(row["id"] for row in rows if not row["lost"] and row["id"] in gone)
    found = tuple(row["id"] for row in rows if row["lost"] and row["id"] not in gone)
    known = {row["path"] for row in rows}
    strays = [file.path for file in picture_files(images) if stored_path(file.path, root) not in known]
    adopted, problems = _adopt(strays, {row["id"] for row in rows}, clock)
    with database.writing() as connection:
        connection.executemany("UPDATE pictures SET lost = 1 WHERE id = ?", [(name,) for name in lost])
        connection.executemany("UPDATE pictures SET lost = 0 WHERE id = ?", [(name,) for name in found])
        connection.executemany(INSERT, [to_row(entry, root) for entry in adopted])
    _sweep(images)
    return Reconciled(tuple(entry.id for entry in adopted), lost, found, tuple(problems))


def absent(database: Database, root: Path) -> list[str]:
    """Ids of the pictures whose file is not there, oldest first."""
    rows = database.query("SELECT id, path FROM pictures ORDER BY n")
    return [row["id"] for row in rows if not (root / row["path"]).is_file()]


def _adopt(paths: Iterable[Path], taken: set[str], clock: IdClock) -> tuple[list[Entry], list[Problem]]:
    adopted: list[Entry] = []
    problems: list[Problem] = []
    for path in sorted(paths):
        name = path.stem if ID.fullmatch(path.stem) and path.stem not in taken else clock.next()
        try:
            created = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            adopted.append(read_entry(path, name, created=created, ours=True))
        except (LimnerError, OSError) as error:
            problems.append(Problem(path, str(error)))
    return adopted, problems


def _sweep(images: Path) -> None:
    for path in images.rglob(".*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink()
