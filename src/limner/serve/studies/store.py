"""Studies where the library keeps them: ``refinements/ID.jsonl``, ``comparisons/ID/``, ``grids/ID.json``. Found by id
alone: an id has a form of its own, and no path is ever made of anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from limner.errors import LibraryError, LimnerError, PictureNotFound
from limner.refine import compare, journal
from limner.refine.compare_study import Study
from limner.refine.pairs import Paired
from limner.refine.refinement import Refinement
from limner.refine.report import REPORT
from limner.refine.verdict_types import Verdict

ID = r"^(\d{8}-\d{6}-[0-9a-f]{4}|[0-9a-f]{16})$"
NOW = ".now.json"
GRIDS = "grids"
SO_FAR = "Not verified: the search has only begun."
_ID = re.compile(ID)


class NoSuchStudy(PictureNotFound):
    """No study has this id."""

    code = "study_not_found"

    def __init__(self, id: str) -> None:
        super().__init__(f"there is no study {id}", hint="GET /api/v1/studies lists them")


@dataclass(frozen=True)
class Refined:
    """A refinement: finished, or as far as it came."""

    found: Refinement
    finished: bool
    place: Path
    report: Path


@dataclass(frozen=True)
class Compared:
    """A comparison. ``pairs``, ``verdicts`` and ``pictures`` (by arm and text, in order of the seeds) are empty until
    it is finished."""

    study: Study
    pairs: tuple[Paired, ...]
    verdicts: tuple[Verdict, ...]
    pictures: Mapping[tuple[int, int], Sequence[str | None]]
    place: Path
    report: Path

    @property
    def finished(self) -> bool:
        return bool(self.verdicts)


@dataclass(frozen=True)
class Gridded:
    """Sides drawn to be looked at: ``pictures[k]`` are those of side ``k``, of each prompt ``n``."""

    id: str
    names: tuple[str, ...]
    requests: tuple[Mapping[str, object], ...]
    prompts: tuple[str, ...]
    n: int
    seed: int
    pictures: tuple[tuple[str | None, ...], ...]
    whole: bool
    place: Path


Stored: TypeAlias = Refined | Compared | Gridded


class Studies:
    """Below a library's root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def places(self) -> list[Path]:
        """The files by which studies are known, newest first."""
        found = [
            *(self._root / journal.FOLDER).glob(f"*{journal.SUFFIX}"),
            *(self._root / compare.FOLDER).glob(f"*/{compare.STUDY}"),
            *(self._root / GRIDS).glob("*.json"),
        ]
        return sorted((path for path in found if _ID.fullmatch(id_of(path))), key=_written, reverse=True)

    def place(self, id: str) -> Path:
        """The file by which a study is known. Raises ``NoSuchStudy``."""
        if _ID.fullmatch(id) is not None:
            for path in (
                self._root / journal.FOLDER / f"{id}{journal.SUFFIX}",
                self._root / compare.FOLDER / id / compare.STUDY,
                self._root / GRIDS / f"{id}.json",
            ):
                if path.is_file():
                    return path
        raise NoSuchStudy(id)

    def get(self, id: str) -> Stored:
        """A study. Raises ``NoSuchStudy``, ``LibraryError`` for one that is damaged or of another Limner."""
        return read(self.place(id))


def id_of(path: Path) -> str:
    """The id of the study that a file makes known."""
    return path.parent.name if path.name == compare.STUDY else path.stem


def stamp(path: Path) -> tuple[int, ...]:
    """Changes when what is known of a study does."""
    beside = (path, path.with_name(f"{path.stem}{NOW}"), path.with_name(compare.RESULT))
    return tuple(int(_written(each) * 1e6) for each in beside)


def read(path: Path) -> Stored:
    """Raises ``LibraryError``."""
    try:
        if path.suffix == journal.SUFFIX:
            return _refined(path)
        return _compared(path) if path.name == compare.STUDY else _gridded(path)
    except LimnerError:
        raise
    except (OSError, ValueError, ValidationError, KeyError, TypeError) as error:
        raise LibraryError(
            f"the study {id_of(path)} is damaged, or of another Limner", hint="its pictures are in the library"
        ) from error


def _refined(path: Path) -> Refined:
    report = path.with_suffix(".html")
    lines = path.read_text("utf-8").splitlines()
    last = _json(lines[-1])
    if last is not None and last.get("kind") == "end":
        return Refined(Refinement.model_validate(last["refinement"]), True, path, report)
    now = path.with_name(f"{path.stem}{NOW}")
    if now.is_file():
        return Refined(Refinement.model_validate_json(now.read_bytes()), False, path, report)
    begun = _json(lines[0])
    if begun is None:
        raise ValueError("no design")
    created = f"{path.stem[:4]}-{path.stem[4:6]}-{path.stem[6:8]}"
    bare = {"id": path.stem, "created": created, "design": begun["design"], "outcome": "stopped", "sentence": SO_FAR}
    return Refined(Refinement.model_validate(bare), False, path, report)


def _json(line: str) -> dict[str, object] | None:
    try:
        found: object = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _compared(path: Path) -> Compared:
    study, folder = Study.model_validate_json(path.read_bytes()), path.parent
    result = folder / compare.RESULT
    if not result.is_file():
        return Compared(study, (), (), {}, path, folder / REPORT)
    found = json.loads(result.read_bytes())
    return Compared(
        study,
        tuple(map(Paired.model_validate, found["pairs"])),
        tuple(map(Verdict.model_validate, found["verdicts"])),
        {(each["arm"], each["text"]): tuple(each["ids"]) for each in found.get("pictures", ())},
        path,
        folder / REPORT,
    )


def _gridded(path: Path) -> Gridded:
    found = json.loads(path.read_bytes())
    return Gridded(
        found["id"],
        tuple(each["name"] for each in found["arms"]),
        tuple(each["request"] for each in found["arms"]),
        tuple(found["prompts"]),
        found["n"],
        found["seed"],
        tuple(tuple(row) for row in found["pictures"]),
        found["whole"],
        path,
    )


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
