"""Scores told: a table or JSON on stdout, what weakens or prevents them on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from limner.cli.console import console, fail, one_line, say, table
from limner.cli.sheet import count, out_json
from limner.errors import LimnerError
from limner.session.scoring_subjects import Subject
from limner.types import Score

FEW = 16  # pictures that need no progress bar
_TEXT = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One picture's scores. ``given`` is what it was called on the command line."""

    given: str
    subject: Subject
    text: str
    metrics: Sequence[str]
    scores: Sequence[Score]
    failures: Mapping[str, LimnerError]


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal and there are more than a few pictures."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    shown = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = total <= FEW or not shown.is_terminal
    with Progress(*columns, console=shown, transient=True, disable=hidden) as bar:
        task = bar.add_task("scoring", total=total)
        yield lambda done: bar.update(task, completed=done)


def show(rows: Sequence[Row], together: Sequence[Score], pictures: int, references: int, *, as_json: bool) -> None:
    """All of it. ``together`` are scores of all pictures as a set, against ``references`` pictures."""
    if as_json:
        sets = [score.model_dump(mode="json") for score in together]
        out_json({"pictures": [_json(row) for row in rows], "sets": sets})
        return
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    texts = any(score.text for row in rows for score in row.scores)
    if rows:
        table(["picture", *names, *(["text"] if texts else [])], [_cells(row, names, texts=texts) for row in rows])
    against = f" against {count(references, 'picture')}" if references else ""
    for score in together:
        say(f"{score.scorer} of {count(pictures, 'picture')} together{against} ({score.scale})", dim=True)
        table([score.scorer], [[f"{score.value:.6g}"]])
    for flag, named in _flags([*(score for row in rows for score in row.scores), *together]).items():
        say(f"* {', '.join(named)}: {flag}", warn=True)
    for row in rows:
        for name, error in row.failures.items():
            fail(error, where=f"{one_line(row.given)}, {name}: ")
    _say_kept(rows)


def exit_code(rows: Sequence[Row]) -> int:
    """That of the first error; 0 without one."""
    return next((error.exit_code for row in rows for error in row.failures.values()), 0)


def _json(row: Row) -> dict[str, object]:
    return {
        "picture": row.given,
        "id": row.subject.id,
        "text": row.text,
        "scores": [score.model_dump(mode="json") for score in row.scores],
        "failures": {
            name: {"code": error.code, "message": error.message, "hint": error.hint}
            for name, error in row.failures.items()
        },
    }


def _cells(row: Row, names: Sequence[str], *, texts: bool) -> list[str]:
    found = {score.scorer: f"{score.value:.4g}{' *' if score.flags else ''}" for score in row.scores}
    failed = dict.fromkeys(row.failures, "failed")
    cells = [(found | failed).get(name, "") for name in names]
    return [one_line(row.given), *cells, *([one_line(row.text, _TEXT)] if texts else [])]


def _flags(scores: Sequence[Score]) -> Mapping[str, list[str]]:
    """Scorers by what weakens their scores, each once."""
    found: dict[str, list[str]] = {}
    for score in scores:
        for flag in score.flags:
            if score.scorer not in (named := found.setdefault(flag, [])):
                named.append(score.scorer)
    return found


def _say_kept(rows: Sequence[Row]) -> None:
    strangers = sum(row.subject.id is None for row in rows)
    if strangers:
        are = "is" if strangers == 1 else "are"
        say(f"{count(strangers, 'picture')} {are} not in the library: scores are shown, not kept there", dim=True)
