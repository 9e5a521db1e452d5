"""Prompts from a file, with resume: a second run draws only the pictures that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from limner.canonical import content_hash, tagged
from limner.cli.console import fail, one_line, say
from limner.cli.downloading import fetch
from limner.cli.draw import checked, prepare
from limner.cli.drawing import Follower, Telling, counted
from limner.cli.given import PICTURES
from limner.cli.resume import Run, run_id
from limner.cli.sheet import count
from limner.errors import (
    Cancelled,
    InvalidRequest,
    LibraryError,
    LimnerError,
    PictureNotFound,
    StorageError,
    UnreadablePicture,
)
from limner.library.files import decode, read_bytes
from limner.library.metadata import read
from limner.prompts.files import PromptLine, misnamed
from limner.session.planning import merge
from limner.types import Record, Request

if TYPE_CHECKING:
    from limner.cli.targets import Target
    from limner.session import Session


@dataclass(frozen=True, slots=True)
class Item:
    """A line and what it asks for: ``n`` pictures. ``id`` tells line and options apart from others."""

    line: PromptLine
    request: Request
    n: int
    id: str

    def label(self, k: int) -> str:
        """What tells picture k's copy from the others': the line, and the number among the line's."""
        return str(self.line.line) if self.n == 1 else f"{self.line.line}-{k + 1}"

    @property
    def extra(self) -> dict[str, object]:
        """What --json says of a picture beyond the picture."""
        return {"line": self.line.line, **({"tags": dict(self.line.tags)} if self.line.tags else {})}


@dataclass(slots=True)
class Faults:
    """Lines that could not be drawn. One line's error doesn't stop the rest."""

    path: Path
    telling: Telling
    codes: list[int] = field(default_factory=list)

    def add(self, line: PromptLine, error: Exception) -> None:
        known = error if isinstance(error, LimnerError) else LimnerError(f"{type(error).__name__}: {error}")
        where = f"{self.path.name}, line {line.line}: "
        fail(known, as_json=self.telling.json, where=where)
        self.codes.append(known.exit_code)

    @property
    def exit_code(self) -> int:
        """That of the lines' errors where they agree, else 1; 0 without any."""
        return 0 if not self.codes else self.codes[0] if len(set(self.codes)) == 1 else 1


def draw_file(
    session: Session,
    path: Path,
    lines: Sequence[PromptLine],
    fields: Mapping[str, object],
    target: Target | None,
    telling: Telling,
    *,
    again: bool = False,
) -> int:
    """Draw what is not yet drawn of a file's lines; the exit code. A line's own fields win over ``fields``.

    Copies that ``target`` lacks of pictures drawn before are written too. Raises ``StorageError`` and ``LibraryError``,
    which every line would meet, and ``Cancelled``; what is finished is kept then, and the next run goes on from there.
    """
    for column, meant in misnamed(lines).items():
        what = f"the column {one_line(column, 30)!r} is no setting and was kept as a tag; did you mean {meant!r}?"
        say(f"warning: {path.name}: {what}", warn=True)
    faults = Faults(path, telling)
    run = Run(session, run_id(path), again)
    items = list(_items(session, lines, fields, faults))
    done = run.done()
    todo = [item for item in items if item.id not in done]
    if skipped := len(items) - len(todo):
        telling.say(f"{path.name}: {skipped} of {len(items)} prompts are drawn already (--again draws them anew)")
    total = sum(run.drawn(item.id).count(None) or item.n for item in todo)
    follower = Follower(telling, total, target)
    copied = sum(_copy(run, item, follower, faults) for item in items if item.id in done)
    if copied:
        telling.say(f"{count(copied, 'copy', 'copies')} written of pictures drawn before")
    if todo:
        prepare(session, telling, welcome="model" not in fields)
        _draw(run, todo, follower, faults)
    return faults.exit_code


def _items(
    session: Session, lines: Sequence[PromptLine], fields: Mapping[str, object], faults: Faults
) -> Iterator[Item]:
    """What each line asks for. A line's pictures are named from the file's own folder."""
    folder = faults.path.parent
    for line in lines:
        said = {**fields, **line.fields}
        if line.negative:
            said["negative"] = line.negative
        for name in PICTURES:
            if name in line.fields:
                said[name] = folder / str(line.fields[name])
        try:
            request = checked(session.request(line.prompt, **said))
            n = _pictures(session, request)
        except (InvalidRequest, LibraryError) as error:
            faults.add(line, error)
        else:
            yield Item(line, request, n, content_hash([line.id, request.model_dump(mode="json", exclude_unset=True)]))


def _pictures(session: Session, request: Request) -> int:
    """How many pictures a request stands for, where it may leave that to the settings."""
    merged, origins = merge(request, session.settings, session.catalog)
    default = session.settings.defaults().get("n")
    return merged.n if default is None or "n" in origins else int(str(default.value))


def _draw(run: Run, todo: Sequence[Item], follower: Follower, faults: Faults) -> None:
    session, telling = run.session, follower.telling
    with follower.watching():
        for item in todo:
            try:
                session.review(item.request)
                with follower.aside():
                    fetch(session, item.request.model, telling)
                plans = run.resume(item.id, item.request)
                _copy(run, item, follower, faults)
                generation = session.run(plans, previews=telling.preview)
                follower.follow(generation, item.label, partial(run.add, item.id))
            except (StorageError, LibraryError, Cancelled):
                raise
            except Exception as error:
                with follower.aside():
                    faults.add(item.line, error)
    telling.say(_end(follower.made, faults))


def _copy(run: Run, item: Item, follower: Follower, faults: Faults) -> int:
    """Write the copies that are missing of an item's pictures drawn before; how many. Where none are wanted, 0."""
    from limner.image import Image

    follower.extra = item.extra
    if follower.target is None:
        return 0
    written = 0
    for k, name in enumerate(run.drawn(item.id)):
        try:
            entry = None if name is None else run.session.library.get(name)
            if entry is None or entry.record is None or _is_copy(follower.target, item.label(k), entry.record):
                continue
            kept = tagged(read_bytes(entry.path))  # a copy in the same format is the library's file, byte for byte
            image = Image(decode(entry.path), entry.record, entry.id, str(entry.path), kept=kept)
        except (PictureNotFound, UnreadablePicture) as error:  # this file alone is gone or damaged
            with follower.aside():
                faults.add(item.line, error)
            continue
        follower.copy(image, item.label(k))
        written += 1
    return written


def _is_copy(target: Target, label: str, record: Record) -> bool:
    """Is the picture's copy there already, and not another picture under its name?"""
    try:
        found = read(target.file(record, label)).record
    except LimnerError:
        return False
    return found is not None and found.image_key == record.image_key


def _end(made: int, faults: Faults) -> str:
    failed = f"; {count(len(faults.codes), 'line')} failed" if faults.codes else ""
    return f"{counted(made)} drawn{failed}"
