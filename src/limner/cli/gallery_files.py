"""``limner gallery export | import | check``: files out of the library, into it, and whether they are still there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from limner.cli.console import console, one_line, out, say
from limner.cli.gallery_export import Remarking
from limner.cli.gallery_find import find_all
from limner.cli.gallery_query import Choice, better, choosing
from limner.cli.marks import marks_options
from limner.cli.sheet import count, out_json
from limner.config import Settings
from limner.errors import Cancelled, InvalidRequest, LibraryError, PictureNotFound
from limner.library.entries import Entry, Query
from limner.library.imports import ImportReport, Problem
from limner.library.reconcile import Reconciled
from limner.library.store import Library

_NAMED = 20  # damaged files named on the screen; --json names all
_SOURCES = {"a1111": "A1111", "comfyui": "ComfyUI", "invokeai": "InvokeAI", "fooocus": "Fooocus", "sdnext": "SD.Next"}
_SOURCES |= {"limner": "Limner", "unknown": "an unknown program", "none": "without a word of how they were made"}


@click.command("export")
@click.argument("names", metavar="[ID...]", nargs=-1)
@click.argument("folder", type=click.Path(path_type=Path))
@choosing
@marks_options
def export(
    names: Sequence[str],
    folder: Path,
    marks: str | None,
    metadata: str | None,
    **chosen: str | int | tuple[str, ...] | None,
) -> None:
    """Copy pictures' files into FOLDER, byte for byte.

    By id, or by what they are (--search, --rating ...). With --marks or --metadata they are written anew.
    """
    choice = Choice(**chosen).read()  # type: ignore[arg-type]  # click has checked them
    if bool(names) == bool(choice):
        message = "say which pictures by id or by options, not both" if names else "say which pictures to export"
        hint = "limner gallery export ID... FOLDER, or --search TEXT FOLDER"
        raise InvalidRequest(message, hint=hint)
    library = Library(Settings.load().library_root)
    entries = find_all(library, names) if names else library.list(choice.query(library, better))
    if not entries:
        raise PictureNotFound(
            "no picture fits", hint="limner gallery with the same options lists what would be exported"
        )
    anew = Remarking(Settings.load(), marks, metadata) if marks or metadata else None
    copied, lost = _export(library, entries, folder, anew)
    say(f"exported {count(copied, 'picture')} to {folder}")
    if lost:
        raise LibraryError(
            f"{count(len(lost), 'picture')} could not be exported, the files are gone: {', '.join(lost)}",
            hint="limner gallery check says what is lost",
        )


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--copy", is_flag=True, help="copy the files into the library; else they stay where they are")
@click.option("--json", "json_", is_flag=True, help="the report as JSON")
def import_(folder: Path, *, copy: bool, json_: bool) -> None:
    """Take up a folder of pictures.

    Reads what A1111, ComfyUI, InvokeAI, Fooocus, SD.Next and Limner write.

    Stop it with Ctrl-C at any time and run it again: it goes on where it was.
    """
    library = Library(Settings.load().library_root)
    with _progress(f"reading {folder.name or folder}") as on_progress:
        try:
            report = library.import_folder(folder, copy=copy, on_progress=on_progress)
        except KeyboardInterrupt:
            raise Cancelled(
                "the import was stopped; what was taken up is kept", hint="the same command goes on from here"
            ) from None
    if json_:
        out_json(_report_json(report))
        return
    for line in _report_lines(report):
        out(line)


@click.command("check")
@click.option("--json", "json_", is_flag=True, help="the report as JSON")
def check(*, json_: bool) -> None:
    """Compare the library with its files.

    Lost files are marked, files without an entry are taken up again.
    """
    library = Library(Settings.load().library_root)
    found = library.reconcile()
    lost = library.list(Query(lost=True, limit=None))
    if json_:
        out_json(_check_json(found, lost))
        return
    for line in _check_lines(found, lost, library.count()):
        out(line)


def _export(
    library: Library, entries: Sequence[Entry], folder: Path, anew: Remarking | None = None
) -> tuple[int, list[str]]:
    """(how many files are there now, ids whose file is gone). One that is gone does not stop the others."""
    lost: list[str] = []
    for entry in entries:
        try:
            if anew is None or anew.export(entry, folder) is None:
                library.export([entry.id], folder)
        except PictureNotFound:
            lost.append(entry.id)
    return len(entries) - len(lost), lost


@contextmanager
def _progress(what: str) -> Iterator[Callable[[ImportReport], None]]:
    """A bar on stderr where that is a terminal; nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    shown = console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as bar:
        task = bar.add_task(one_line(what, 40), total=None)
        yield lambda report: bar.update(task, total=report.total, completed=report.done)


def _report_lines(report: ImportReport) -> Iterator[str]:
    if not report.total:
        yield "no PNG, JPEG or WebP pictures there"
        return
    yield f"{count(report.total, 'picture')} found"
    yield f"  {report.added:>7,}  imported{_by_source(report)}"
    if report.known:
        yield f"  {report.known:>7,}  already known"
    if report.updated:
        yield f"  {report.updated:>7,}  edited since, and read anew"
    if report.duplicates:
        yield f"  {report.duplicates:>7,}  the same picture as one already there"
    if report.problems:
        yield f"  {len(report.problems):>7,}  could not be read:"
        yield from _named(report.problems)


def _by_source(report: ImportReport) -> str:
    parts = [f"{_SOURCES.get(source, source)} {number:,}" for source, number in report.sources]
    return f" ({', '.join(parts)})" if parts else ""


def _named(problems: Sequence[Problem]) -> Iterable[str]:
    lines = [f"           {one_line(_named_problem(problem), 300)}" for problem in problems[:_NAMED]]
    more = len(problems) - _NAMED
    return [*lines, f"           ... and {more:,} more (--json names all)"] if more > 0 else lines


def _named_problem(problem: Problem) -> str:
    return problem.message if str(problem.path) in problem.message else f"{problem.path}: {problem.message}"


def _report_json(report: ImportReport) -> dict[str, object]:
    return {
        "total": report.total,
        "added": report.added,
        "known": report.known,
        "duplicates": report.duplicates,
        "updated": report.updated,
        "sources": dict(report.sources),
        "problems": _problems_json(report.problems),
    }


def _problems_json(problems: Iterable[Problem]) -> list[dict[str, str]]:
    return [{"path": str(problem.path), "message": problem.message} for problem in problems]


def _check_lines(found: Reconciled, lost: Sequence[Entry], total: int) -> Iterator[str]:
    """What the check came to. ``lost`` is everything whose file is gone, found so today or earlier."""
    if found.adopted:
        yield f"{count(len(found.adopted), 'file')} without an entry taken up: {', '.join(found.adopted[:_NAMED])}"
    if found.found:
        yield f"{count(len(found.found), 'lost file')} there again"
    if found.problems:
        yield f"{count(len(found.problems), 'file')} in the library cannot be read:"
        yield from _named(found.problems)
    if not lost:
        yield f"{count(total, 'picture')}, no file is missing"
        return
    yield f"{count(len(lost), 'picture')} of {total:,} lost, the file is gone:"
    for entry in lost[:_NAMED]:
        yield f"  {entry.id}  {entry.path}  {one_line(entry.prompt, 60)}"
    if len(lost) > _NAMED:
        yield f"  ... and {len(lost) - _NAMED:,} more (--json names all)"
    yield "put the files back and check again, or forget them: limner gallery delete ID"


def _check_json(found: Reconciled, lost: Sequence[Entry]) -> dict[str, object]:
    return {
        "adopted": list(found.adopted),
        "found_again": list(found.found),
        "lost": [{"id": entry.id, "path": str(entry.path), "prompt": entry.prompt} for entry in lost],
        "newly_lost": list(found.lost),
        "problems": _problems_json(found.problems),
    }
