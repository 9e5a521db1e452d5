"""Words to the terminal: human text on stderr, results on stdout, never a control character from a file or a prompt."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from limner.errors import LimnerError

# C0 (but tab and newline), DEL and C1, and the marks that turn the direction of text round: a prompt read from somebody
# else's picture must not be able to move the cursor, set the clipboard or hide what it says.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """Text that is safe to print: what could steer the terminal becomes ``\\x1b`` and the like."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str, limit: int = 80) -> str:
    """``clean`` text on one line, cut with an ellipsis after ``limit`` characters."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def console(*, stderr: bool = False) -> Console:
    """A rich Console that takes text literally: brackets in prompts are no markup."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=False)


def say(text: str, *, dim: bool = False, warn: bool = False) -> None:
    """A line for people, on stderr."""
    text = wrapped(clean(text)) if sys.stderr.isatty() else clean(text)
    click.secho(text, err=True, dim=dim or None, fg="yellow" if warn else None)


def out(text: str) -> None:
    """A line of the result, on stdout. File names that are not Unicode go out as the bytes they are."""
    sys.stdout.flush()
    try:
        click.echo(text)
    except UnicodeEncodeError:
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")
        sys.stdout.buffer.flush()


def told(text: str) -> None:
    """A sentence of the result, on stdout: wrapped at words in a terminal, on one line elsewhere."""
    out(wrapped(clean(text)) if sys.stdout.isatty() else clean(text))


def wrapped(text: str, *, taken: int = 0) -> str:
    """Text broken between words at the terminal's width, of which ``taken`` columns are not there for it.

    Words are never broken: a path that is too long runs on. Lines keep the indentation of the line they come from.
    """
    width = max(shutil.get_terminal_size().columns - taken, 20)
    return "\n".join(_broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def homely(text: str) -> str:
    """Text for a person, with ~ where the home folder begins a path."""
    home = str(Path.home())
    return text if len(home) < 2 else re.sub(rf"(?<![\w/\\]){re.escape(home)}(?=[/\\\s]|$)", "~", text)


def fail(error: LimnerError, *, as_json: bool = False, where: str = "") -> None:
    """Say what went wrong (and ``where``), on stderr: a line, and a line of what to do next. Does not exit."""
    if as_json:
        import json

        from limner.errors import Refused

        found: dict[str, object] = {"code": error.code, "message": f"{where}{error.message}", "hint": error.hint}
        if isinstance(error, Refused):
            found |= error.details()
        click.echo(json.dumps({"error": found}), err=True)
        return
    lines = [f"limner: {one_line(where + error.message, 400)}"]
    if error.hint:
        lines.append(f"  {one_line(error.hint, 600)}")
    for line in lines:
        click.echo(wrapped(line) if sys.stderr.isatty() else line, err=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table on stdout: drawn and wrapped in a terminal, plain aligned columns in full width elsewhere."""
    cells = [[clean("" if value is None else str(value)) for value in row] for row in rows]
    if not sys.stdout.isatty():
        _plain(columns, cells)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for name, width in zip(columns, _widths(columns, cells), strict=True):
        drawn.add_column(name, overflow="fold", width=width)
    for row in cells:
        drawn.add_row(*map(Text, row))
    console().print(drawn)


def _widths(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> Sequence[int | None]:
    """Widths of a table's columns that fit the terminal, none narrower than its longest word; ``None`` (rich's own
    way, which breaks words) where even those do not fit. The first column, a name to be typed, is never wrapped."""
    from rich.cells import cell_len

    texts = [list(column) for column in zip(columns, *cells, strict=True)]
    widths = [max(map(cell_len, column)) for column in texts]
    least = [max((cell_len(word) for text in column for word in text.split()), default=1) for column in texts]
    least[0] = widths[0]
    room = shutil.get_terminal_size().columns - 3 * (len(columns) - 1) - 2  # what the box puts between and around
    while sum(widths) > room:
        wide = max(range(len(widths)), key=lambda k: (widths[k] > least[k], widths[k]))
        if widths[wide] <= least[wide]:
            return [None] * len(widths)
        widths[wide] -= 1
    return list(widths)


def _plain(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    lines = [list(columns), *([" ".join(cell.split()) for cell in row] for row in cells)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        out("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
