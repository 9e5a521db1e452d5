"""The journal of a refinement: a line of JSON for the design, then one for every score, answer and choice as it comes.

A run that was killed is run again from its design; what the journal holds is not asked for again, and pictures are
found in the library by their image key. Lines are on the disk before the next thing is done; a torn last line is what
a kill may leave, and is dropped.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from limner.canonical import content_hash
from limner.errors import InvalidRequest, LibraryError, StorageError
from limner.refine.asking import Ask
from limner.refine.design import Design
from limner.refine.refinement import Refinement, Shot
from limner.types import Request

FOLDER = "refinements"
SUFFIX = ".jsonl"
VERSION = 1


class Journal:
    """One refinement's journal; ``path=None`` keeps it in memory only.

    Raises ``StorageError`` where a line cannot be written.
    """

    def __init__(self, id: str, design: Design, path: Path | None) -> None:
        self.id, self.design, self.path = id, design, path
        self.shots: dict[str, Shot] = {}
        self.answers: dict[str, list[str]] = {}
        self.chosen: tuple[str, ...] | None = None
        self.pairs: int | None = None
        self.seconds = 0.0
        self.finished: Refinement | None = None
        self.notices: list[str] = []

    @classmethod
    def begin(cls, design: Design, root: Path | None) -> Journal:
        """A new one; the design is on the disk on return. ``root``: the library's folder, ``None``: keep nothing."""
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        journal = cls(name, design, None if root is None else root / FOLDER / f"{name}{SUFFIX}")
        journal._write({"kind": "design", "version": VERSION, "design": _design(design)})
        return journal

    @classmethod
    def open(cls, root: Path, which: str | None = None) -> Journal:
        """A stored one by id, or a beginning of it; ``None``: the newest that is not finished. Raises
        ``InvalidRequest`` where there is none, ``LibraryError`` for a damaged one."""
        paths = sorted((root / FOLDER).glob(f"*{SUFFIX}"), reverse=True)
        if which is not None:
            found = [path for path in paths if path.stem.startswith(which)]
            if len(found) != 1:
                known = ", ".join(path.stem for path in (found or paths)[:5])
                problem = "several" if found else "no"
                raise InvalidRequest(
                    f"there {'are' if found else 'is'} {problem} refinement{'s' * bool(found)} {which!r}",
                    field="resume",
                    hint=f"there are: {known}" if known else "none has been begun here",
                )
            return cls._read(found[0])
        for path in paths:
            journal = cls._read(path)
            if journal.finished is None:
                return journal
        raise InvalidRequest(
            "there is no refinement to go on with", field="resume", hint="all are finished; name one: --resume ID"
        )

    @classmethod
    def _read(cls, path: Path) -> Journal:
        lines = path.read_text("utf-8").splitlines()
        entries = []
        for number, line in enumerate(lines, 1):
            try:
                entries.append(json.loads(line))
            except ValueError:
                if number < len(lines):
                    raise _damaged(path, number) from None
        try:
            if not entries or entries[0]["version"] != VERSION:
                raise _damaged(path, 1)
            journal = cls(path.stem, Design.model_validate(entries[0]["design"]), path)
            for entry in entries[1:]:
                journal._take(entry)
        except (ValidationError, KeyError, TypeError) as error:
            raise _damaged(path, 1) from error
        if len(entries) < len(lines):
            journal.notices.append("the last line of the journal was torn, and its work is done again")
            journal._mend(lines[: len(entries)])
        return journal

    def _take(self, entry: dict[str, object]) -> None:
        match entry["kind"]:
            case "shots":
                shots = entry["shots"]
                assert isinstance(shots, dict)
                self.shots.update({key: Shot.model_validate(shot) for key, shot in shots.items()})
                self.seconds = float(str(entry["seconds"]))
            case "answer":
                self.answers.setdefault(str(entry["asked"]), []).append(str(entry["answer"]))
            case "chosen":
                ids = entry["ids"]
                assert isinstance(ids, list)
                self.chosen = tuple(map(str, ids))
            case "pairs":
                self.pairs = int(str(entry["pairs"]))
            case "end":
                self.finished = Refinement.model_validate(entry["refinement"])

    def found(self, ask: Ask) -> list[Shot | None]:
        """What is known of each trial of an ask."""
        return [self.shots.get(key) for key in keys(ask)]

    def add(self, ask: Ask, shots: Sequence[Shot], seconds: float) -> None:
        """The answer to an ask; ``seconds`` are spent so far in all."""
        new = dict(zip(keys(ask), shots, strict=True))
        self.shots.update(new)
        self.seconds = seconds
        said = {key: _shot(shot) for key, shot in new.items()}
        self._write({"kind": "shots", "seconds": round(seconds, 3), "shots": said})

    def answer(self, asked: str, times: int) -> str | None:
        """What a language model answered when it was asked this for the ``times``-th time (from 0)."""
        known = self.answers.get(content_hash(asked), [])
        return known[times] if times < len(known) else None

    def add_answer(self, asked: str, answer: str) -> None:
        key = content_hash(asked)
        self.answers.setdefault(key, []).append(answer)
        self._write({"kind": "answer", "asked": key, "answer": answer})

    def choose(self, ids: Sequence[str]) -> None:
        """The candidates that a person let through."""
        self.chosen = tuple(ids)
        self._write({"kind": "chosen", "ids": list(ids)})

    def set_pairs(self, pairs: int) -> None:
        """How many pairs the verdict is drawn with, set before its first picture."""
        self.pairs = pairs
        self._write({"kind": "pairs", "pairs": pairs})

    def finish(self, refinement: Refinement) -> None:
        self.finished = refinement
        self._write({"kind": "end", "refinement": stored(refinement)})

    def _write(self, entry: dict[str, object]) -> None:
        if self.path is None:
            return
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"the journal {self.path} cannot be written: {error.strerror}", hint="free some space, and --resume"
            ) from error

    def _mend(self, lines: Sequence[str]) -> None:
        """Rewrite the journal without its torn line, so that the next one does not continue it."""
        from limner.disk import write_atomic

        assert self.path is not None
        write_atomic(self.path, "".join(f"{line}\n" for line in lines).encode())


def keys(ask: Ask) -> list[str]:
    """A key for each trial of an ask: what was drawn, and by whom it was scored against which words."""
    by = [ask.phase, list(ask.metrics), ask.words, ask.diversity]
    return [content_hash([by, _said(trial.request), trial.seed]).removeprefix("sha256:")[:24] for trial in ask.trials]


def stored(refinement: Refinement) -> dict[str, object]:
    """JSON-ready; Requests hold only what was said."""
    whole = refinement.model_dump(mode="json", exclude={"design", "candidates", "shots"})
    candidates = [
        {**each.model_dump(mode="json", exclude={"request"}), "request": _said(each.request)}
        for each in refinement.candidates
    ]
    shots = [_shot(shot) for shot in refinement.shots]
    return {**whole, "design": _design(refinement.design), "candidates": candidates, "shots": shots}


def _design(design: Design) -> dict[str, object]:
    return {**design.model_dump(mode="json", exclude={"request"}), "request": _said(design.request)}


def _shot(shot: Shot) -> dict[str, object]:
    return {**shot.model_dump(mode="json", exclude={"request"}), "request": _said(shot.request)}


def _said(request: Request) -> dict[str, object]:
    return request.model_dump(mode="json", exclude_unset=True, exclude_none=True)


def _damaged(path: Path, line: int) -> LibraryError:
    return LibraryError(
        f"the journal {path.name} is damaged, or of another Limner (line {line})",
        hint="its pictures are in the library; begin anew",
    )
