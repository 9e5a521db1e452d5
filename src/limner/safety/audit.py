"""The audit log: an append-only file of JSON lines, each chained to the one before it.

A line holds when, which policy and level, what happened (``refusal``, ``level-change``, ``marks-change``), and of a
refusal its category, rule, model and a keyed hash of the prompt: the same prompt has the same hash on this machine, and
nobody without the key can try out words. The words themselves only where ``[safety] audit = "plain"`` asks for them.
Each line's ``hash`` is an HMAC over the line and the hash before it, and a file beside it keeps the last one, so a line
that was changed, moved or removed is found. Who can read the key can forge all of it: the log is for the owner of the
machine, not against him.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from limner.canonical import canonical_json
from limner.disk import write_atomic
from limner.errors import CorruptFile, StorageError
from limner.types import now

NAME: Final = "audit.jsonl"
START: Final = "0" * 64
_WAIT: Final = 10.0  # seconds for another process's line
_TAIL: Final = 65_536  # bytes in which the last line lies; a prompt has at most 20,000 characters

Event = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Problem:
    """What ``verify`` found at a line, counted from 1; 0 is the file as a whole."""

    line: int
    message: str


class Audit:
    """The log in a folder. Safe for several processes at once."""

    def __init__(self, folder: Path, *, plain: bool = False) -> None:
        self.path = folder / NAME
        self._key_file = folder / "audit.key"
        self._head_file = folder / "audit.head"
        self._lock_file = folder / "audit.lock"
        self._plain = plain

    def append(self, event: str, *, prompt: str | None = None, **said: str | None) -> None:
        """Add a line. Raises ``StorageError`` where it cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._lock_file, timeout=_WAIT):
                key = self._key(make=True)
                number, previous = self._last()
                line: dict[str, str | int | None] = {"line": number + 1, "time": now(), "event": event, **said}
                if prompt is not None:
                    line["prompt_hmac"] = hmac.new(key, prompt.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
                    if self._plain:
                        line["prompt"] = prompt
                line["previous"] = previous
                line["hash"] = _hash(key, line)
                self._write(canonical_json(line) + b"\n")
                head: dict[str, str | int | None] = {"line": number + 1, "last": str(line["hash"])}
                write_atomic(self._head_file, canonical_json({**head, "hash": _hash(key, head)}))
        except Timeout as error:
            raise StorageError(f"{self.path} is held by another process", hint="try again") from error
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {error.strerror or error}") from error

    def lines(self) -> Iterator[Event]:
        """The lines that can be read, in order; none where there is no log. Raises ``StorageError``."""
        for _, line in self._read():
            if line is not None:
                yield line

    def verify(self) -> list[Problem]:
        """Every line that is not as it was written, and a log that was cut. Raises ``StorageError``, ``CorruptFile``
        where the key is gone."""
        if not self.path.exists() and not self._head_file.exists():
            return []
        key = self._key(make=False)
        problems: list[Problem] = []
        previous, number = START, 0
        for place, line in self._read():
            if line is None:
                problems.append(Problem(place, "is no line of a log"))
                continue
            if not hmac.compare_digest(str(line.get("hash", "")), _hash(key, line)):
                problems.append(Problem(place, "was changed"))
            if line.get("previous") != previous or line.get("line") != number + 1:
                problems.append(
                    Problem(place, "does not follow the line before it: lines were removed, added or moved")
                )
            previous, counted = str(line.get("hash", "")), line.get("line")
            number = counted if isinstance(counted, int) else number + 1
        return problems + self._cut(key, number, previous)

    def _cut(self, key: bytes, number: int, last: str) -> list[Problem]:
        """Whether lines are missing at the end."""
        head = _json(self._head_file.read_bytes()) if self._head_file.exists() else None
        if head is None or not hmac.compare_digest(str(head.get("hash", "")), _hash(key, head)):
            return [Problem(0, f"{self._head_file.name}, which says where the log ends, is missing or was changed")]
        if (head.get("line"), head.get("last")) != (number, last):
            return [Problem(0, f"ends at line {number}, and line {head.get('line')} was written: lines were removed")]
        return []

    def _key(self, *, make: bool) -> bytes:
        if self._key_file.exists():
            return bytes.fromhex(self._key_file.read_text("ascii").strip())
        if not make:
            raise CorruptFile(
                f"{self._key_file} is missing: the log cannot be verified", hint="restore it from a backup"
            )
        handle = os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32))
        return self._key(make=False)

    def _last(self) -> tuple[int, str]:
        """Number and hash of the last line that can be read."""
        if not self.path.exists():
            return 0, START
        with self.path.open("rb") as stream:
            stream.seek(max(0, self.path.stat().st_size - 4 * _TAIL))
            for text in reversed(stream.read().splitlines()):
                line = _json(text)
                if line is not None and isinstance(number := line.get("line"), int):
                    return number, str(line.get("hash", ""))
        return 0, START

    def _write(self, data: bytes) -> None:
        """At the end of the file and onto the disk; a line torn by a power cut before is ended first."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                data = b"\n" + data
            os.write(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)

    def _read(self) -> Iterator[tuple[int, dict[str, str | int | None] | None]]:
        if not self.path.exists():
            return
        try:
            with self.path.open("rb") as stream:
                for place, text in enumerate(stream, 1):
                    yield place, _json(text)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be read: {error.strerror or error}") from error


def _hash(key: bytes, line: Event) -> str:
    """Of all but the hash itself."""
    said = {name: value for name, value in line.items() if name != "hash"}
    return hmac.new(key, canonical_json(said), hashlib.sha256).hexdigest()


def _json(text: bytes) -> dict[str, str | int | None] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
