"""What the library knows of one picture, and the questions one can ask."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from limner.library.a1111 import Value
from limner.library.database import Cell
from limner.types import Record

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no i, l, o, u to misread
_TIME, _CHANCE = 9, 5
ID = re.compile(rf"[{_ALPHABET}]{{{_TIME + _CHANCE}}}")
ID_PART = re.compile(rf"[{_ALPHABET}]{{3,{_TIME + _CHANCE}}}")

Sort = Literal["created", "rating", "score"]
COLUMNS = (
    "id, path, format, source, created, width, height, pixel_hash, image_key, prompt, negative, model, seed, rating, "
    "parent, lost, record, fields"
)
# a conflict means that another process adopted the file, under the same id, between its writing and its row
INSERT = f"INSERT INTO pictures ({COLUMNS}) VALUES ({', '.join('?' * len(COLUMNS.split(',')))}) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture in the library. ``record`` is ``None`` for another program's picture; ``fields`` says what it said.

    ``created`` is ISO 8601 in UTC, ``rating`` 1 to 5, sizes pixels. ``lost``: the file is no longer there.
    """

    id: str
    path: Path
    record: Record | None
    fields: Mapping[str, Value]
    source: str
    created: str
    rating: int | None
    width: int
    height: int
    format: str
    pixel_hash: str
    image_key: str | None
    prompt: str
    negative: str
    model: str
    seed: int | None
    parent: str | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Which pictures, and in what order. Unset fields do not restrict.

    ``text``: all words, anywhere in prompt, negative or model. ``rating``: at least that many. ``since`` (inclusive)
    and ``until`` (exclusive): ISO 8601, a date is enough. ``scorer``: whose scores ``sort="score"`` goes by; of several
    that a picture has, against several texts, the highest counts (ascending: the lowest). ``at_least`` and ``at_most``:
    (scorer, value) that some score of the picture must reach, or must not exceed. ``after``: only what follows the
    picture of this (created, id) where they are sorted by age: pages that new pictures do not shift.
    """

    text: str = ""
    model: str | None = None
    rating: int | None = None
    since: str | None = None
    until: str | None = None
    seed: int | None = None
    source: str | None = None
    parent: str | None = None
    lost: bool | None = None
    sort: Sort = "created"
    descending: bool = True
    scorer: str | None = None
    at_least: tuple[tuple[str, float], ...] = ()
    at_most: tuple[tuple[str, float], ...] = ()
    limit: int | None = 50
    offset: int = 0
    after: tuple[str, str] | None = None


@dataclass(slots=True)
class IdClock:
    """Makes ids: 9 characters of time (milliseconds, so that ids sort by age), 5 of chance."""

    _last: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> str:
        """A new id; each sorts after the one before."""
        with self._lock:
            self._last = max(self._last + 1, time.time_ns() // 1_000_000)
            moment = self._last
        digits = [_ALPHABET[moment >> 5 * place & 31] for place in reversed(range(_TIME))]
        return "".join(digits) + "".join(secrets.choice(_ALPHABET) for _ in range(_CHANCE))


def to_row(entry: Entry, root: Path) -> tuple[Cell, ...]:
    """The values for ``INSERT``."""
    return (
        entry.id,
        stored_path(entry.path, root),
        entry.format,
        entry.source,
        entry.created,
        entry.width,
        entry.height,
        entry.pixel_hash,
        entry.image_key,
        entry.prompt,
        entry.negative,
        entry.model,
        entry.seed if entry.seed is None or abs(entry.seed) < 2**63 else None,
        entry.rating,
        entry.parent,
        int(entry.lost),
        None if entry.record is None else entry.record.to_json(),
        json.dumps(dict(entry.fields), ensure_ascii=False),
    )


def of_row(row: sqlite3.Row, root: Path) -> Entry:
    """An Entry from a row of ``COLUMNS``. A Record that this version cannot read gives ``record=None``."""
    return Entry(
        id=row["id"],
        path=root / row["path"],
        record=_record(row["record"]),
        fields=json.loads(row["fields"]),
        source=row["source"],
        created=row["created"],
        rating=row["rating"],
        width=row["width"],
        height=row["height"],
        format=row["format"],
        pixel_hash=row["pixel_hash"],
        image_key=row["image_key"],
        prompt=row["prompt"],
        negative=row["negative"],
        model=row["model"],
        seed=row["seed"],
        parent=row["parent"],
        lost=bool(row["lost"]),
    )


def stored_path(path: Path, root: Path) -> str:
    """As the table holds it: relative with forward slashes inside the library (it can be moved), else absolute."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _record(text: str | None) -> Record | None:
    if text is None:
        return None
    try:
        return Record.model_validate_json(text)
    except ValidationError:
        return None
