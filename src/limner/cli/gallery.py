"""``limner gallery``: your pictures, found, shown, rated, deleted; files in and out are in ``gallery_files``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import click

from limner.cli import gallery_files
from limner.cli.console import one_line, say
from limner.cli.default_group import DefaultGroup
from limner.cli.gallery_find import find_all
from limner.cli.gallery_query import Choice, better, choosing
from limner.cli.gallery_scores import scored_json, scores_shown, told
from limner.cli.gallery_table import as_json, show_table, stars
from limner.cli.sheet import Fact, count, out_json, sheet, when
from limner.config import Settings
from limner.errors import InvalidRequest
from limner.inspecting import record
from limner.library.choosing import WAYS
from limner.library.entries import Entry, Query
from limner.library.store import Library

LIMIT = 20
NEWEST = "newest"
_LISTED = 10  # pictures named before a deletion
_KIN = 20  # pictures made from this one that are named


@click.group("gallery", cls=DefaultGroup)
def command() -> None:
    """Find, show, rate, delete, export and import pictures.

    A picture goes by its id, by enough of its id to be the only one, or by its file. "last" and @1 mean the newest that
    Limner drew, @2 the one before it. "limner gallery --search ghost" lists those whose words fit.
    """


command.add_command(gallery_files.export)
command.add_command(gallery_files.import_)
command.add_command(gallery_files.check)


@command.command("list")
@click.option("-n", "--limit", type=click.IntRange(0), default=LIMIT, show_default=True, help="how many; 0 is all")
@choosing
@click.option("--sort", metavar="ORDER", default=NEWEST, show_default=True, help=f"{WAYS}")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def list_(limit: int, sort: str, *, json_: bool, **chosen: str | int | tuple[str, ...] | None) -> None:
    """List pictures (what "limner gallery" alone does)."""
    choice = Choice(**chosen).read()  # type: ignore[arg-type]  # click has checked them
    library = open_library()
    query = choice.query(library, better, sort=None if choice.sort and sort == NEWEST else sort, limit=limit or None)
    entries = library.list(query)
    scored = scores_shown(query, entries, library)
    if json_:
        out_json([as_json(entry) | scored_json(entry, scored) for entry in entries])
        return
    if entries:
        show_table(entries, scored)
    _summary(library, query, len(entries), chosen=bool(choice))


@command.command("show")
@click.argument("name", metavar="ID", default="last")
@click.option("--json", "json_", is_flag=True, help="as JSON, the whole Record with it")
def show(name: str, *, json_: bool) -> None:
    """Everything known of a picture (the newest one, if none is named)."""
    library = open_library()
    entry = library.get(name)
    scores = library.scores(entry.id)
    if json_:
        kept = None if entry.record is None else entry.record.model_dump(mode="json", by_alias=True)
        shown = [score.model_dump(mode="json") for score in scores]
        out_json(as_json(entry) | {"fields": dict(entry.fields), "record": kept, "scores": shown})
        return
    _show_picture(entry)
    sheet(_of_library(entry, library))
    if entry.record is None:
        sheet(_said(entry), heading=f"what {entry.source} wrote" if entry.source not in ("none", "unknown") else "")
    else:
        sheet(record.words(entry.record), heading="asked")
        sheet(record.making(entry.record), heading="drawn")
        sheet(record.compared(entry.record), heading="planned and actual")
        sheet(record.birth(entry.record), heading="record")
    sheet([(score.scorer, told(score, entry)) for score in scores], heading="scores")


@command.command("rate")
@click.argument("names", metavar="ID...", nargs=-1, required=True)
@click.argument("rating", metavar="1-5|none")
def rate(names: Sequence[str], rating: str) -> None:
    """Rate pictures from 1 to 5, or take a rating back with "none"."""
    value = _rating(rating)
    library = open_library()
    for entry in find_all(library, names):
        library.rate(entry.id, value)
        said = stars(value) if value else "no rating"
        click.echo(f"{entry.id}  {said}  {one_line(entry.prompt, 60)}")


@command.command("delete")
@click.argument("names", metavar="ID...", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@click.option("--keep-file", is_flag=True, help="forget the picture, leave its file")
def delete(names: Sequence[str], *, yes: bool, keep_file: bool) -> None:
    """Delete pictures: their files, ratings and scores. Asks first."""
    library = open_library()
    entries = find_all(library, names)
    if not yes:
        for line in _losses(entries, library, keep_file=keep_file):
            say(line)
        if not _confirmed():
            say("nothing was deleted")
            return
    deleted = library.delete([entry.id for entry in entries], keep_file=keep_file)
    say(f"deleted {count(len(deleted), 'picture')}{'; the files were left' if keep_file else ''}")


def open_library() -> Library:
    """The user's library. Raises ``ConfigError``."""
    return Library(Settings.load().library_root)


def _summary(library: Library, query: Query, listed: int, *, chosen: bool) -> None:
    total = library.count(query)
    if not total and chosen and library.count():
        say(f"none of your {count(library.count(), 'picture')} fits")
    elif not total:
        say("no pictures yet; draw one: limner a red fox in the snow")
    elif listed < total:
        say(f"{listed} of {count(total, 'picture')}; -n 0 lists all", dim=True)


def _show_picture(entry: Entry) -> None:
    from limner.cli import terminal
    from limner.errors import LibraryError, StorageError

    if not terminal.can_show():
        return
    try:
        terminal.show(entry.path)
    except (LibraryError, StorageError) as error:
        say(f"the picture cannot be shown: {error.message}", warn=True)


def _of_library(entry: Entry, library: Library) -> Iterator[Fact]:
    yield "id", entry.id
    yield "file", f"{entry.path}{'' if entry.path.is_file() else ' (lost)'}"
    yield "kept since", when(entry.created)
    yield "rating", stars(entry.rating) or "none"
    children = library.list(Query(parent=entry.id, limit=_KIN))
    yield "led to", ", ".join(child.id for child in children)


def _said(entry: Entry) -> Iterator[Fact]:
    yield from entry.fields.items()
    yield "pixels", f"{entry.width}x{entry.height}, {entry.pixel_hash}"


def _rating(text: str) -> int | None:
    if text.strip().lower() in ("none", "-"):
        return None
    if text.strip() not in set("12345"):
        hint = 'for example: limner gallery rate last 4; "none" takes a rating back'
        raise InvalidRequest(f"rating: {text!r} is not a number from 1 to 5", field="rating", hint=hint)
    return int(text)


def _losses(entries: Sequence[Entry], library: Library, *, keep_file: bool) -> Iterator[str]:
    """What a deletion takes away, in words."""
    for entry in entries[:_LISTED]:
        rated = f"  {stars(entry.rating)}" if entry.rating else ""
        yield f"{entry.id}  {when(entry.created)}{rated}  {one_line(entry.prompt, 60)}"
    if len(entries) > _LISTED:
        yield f"... and {len(entries) - _LISTED:,} more"
    inside = [entry for entry in entries if entry.path.is_relative_to(library.root)]
    files = 0 if keep_file else sum(entry.path.is_file() for entry in inside)
    parts = [count(files, "file") if files else "", *_judgements(entries, library)]
    lost = [part for part in parts if part]
    yield f"this cannot be undone; it deletes {', '.join(lost)}" if lost else "no file, rating or score is deleted"
    if len(inside) < len(entries):
        yield f"{count(len(entries) - len(inside), 'file')} outside the library will stay where they are"


def _judgements(entries: Iterable[Entry], library: Library) -> Iterator[str]:
    rated = sum(entry.rating is not None for entry in entries)
    yield count(rated, "rating") if rated else ""
    scored = sum(len(library.scores(entry.id)) for entry in entries)
    yield count(scored, "score") if scored else ""


def _confirmed() -> bool:
    try:
        return click.confirm("delete?", default=False, err=True)
    except click.Abort as abort:
        if isinstance(abort.__context__, EOFError):
            raise InvalidRequest(
                "nothing was deleted: nobody is there to ask", hint="--yes deletes without asking"
            ) from None
        raise
