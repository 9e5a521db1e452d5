"""Prompts from a file, with resume: a second run draws only what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from limner.canonical import content_hash
from limner.cli.console import fail
from limner.cli.downloading import fetch
from limner.cli.draw import checked, prepare
from limner.cli.drawing import Follower, Telling, counted
from limner.errors import Cancelled, InvalidRequest, LibraryError, LimnerError, StorageError
from limner.prompts.files import PromptLine, read_prompts
from limner.types import Request

if TYPE_CHECKING:
    from limner.cli.targets import Target
    from limner.session import Session


@dataclass(frozen=True, slots=True)
class Item:
    """A line and what it asks for, the options given beside the file included. ``id`` tells both apart from others'."""

    line: PromptLine
    request: Request
    id: str

    def label(self, k: int) -> str:
        """What tells picture k's copy from the others': the line, and the number among the line's."""
        return str(self.line.line) if self.request.n == 1 else f"{self.line.line}-{k + 1}"


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
    fields: Mapping[str, object],
    target: Target | None,
    telling: Telling,
    *,
    again: bool = False,
) -> int:
    """Draw every line not yet drawn; the exit code. A line's own fields win over ``fields``.

    Raises ``InvalidRequest`` for the file itself, ``StorageError`` and ``LibraryError``, which every line would meet,
    and ``Cancelled``; what is finished is marked then, and the next run goes on from there.
    """
    lines = read_prompts(path)
    faults = Faults(path, telling)
    items = list(_items(lines, fields, faults))
    run = run_id(path)
    done = session.library.run_done(run) if session.keep and not again else set()
    todo = [item for item in items if item.id not in done]
    if skipped := len(items) - len(todo):
        telling.say(f"{path.name}: {skipped} of {len(items)} prompts are drawn already (--again draws them anew)")
    if todo:
        prepare(session, telling, welcome="model" not in fields)
        _draw(session, todo, run, Follower(telling, sum(item.request.n for item in todo), target), faults)
    return faults.exit_code


def run_id(path: Path) -> str:
    """The same for the same file, wherever one stands; its lines may change, each has its own id."""
    return content_hash(["prompts", str(path.resolve())])


def _items(lines: tuple[PromptLine, ...], fields: Mapping[str, object], faults: Faults) -> Iterator[Item]:
    for line in lines:
        said = {**fields, **line.fields}
        if line.negative:
            said["negative"] = line.negative
        try:
            request = checked(Request.of(prompt=line.prompt, **said))
        except InvalidRequest as error:
            faults.add(line, error)
        else:
            yield Item(line, request, content_hash([line.id, request.model_dump(mode="json", exclude_unset=True)]))


def _draw(session: Session, todo: list[Item], run: str, follower: Follower, faults: Faults) -> None:
    with follower.watching():
        for item in todo:
            follower.extra = {"line": item.line.line, **({"tags": dict(item.line.tags)} if item.line.tags else {})}
            try:
                with follower.aside():
                    fetch(session, item.request.model, follower.telling)
                generation = session.generate(item.request, previews=follower.telling.preview)
                made = follower.follow(generation, item.label)
            except (StorageError, LibraryError, Cancelled):
                raise
            except Exception as error:
                with follower.aside():
                    faults.add(item.line, error)
                continue
            if session.keep:
                session.library.run_mark(run, item.id, [image.id for image in made if image.id is not None])
    follower.telling.say(_end(follower.made, faults))


def _end(made: int, faults: Faults) -> str:
    count = len(faults.codes)
    failed = f"; {'1 line' if count == 1 else f'{count} lines'} failed" if count else ""
    return f"{counted(made)} drawn{failed}"
