"""Pictures as a table and as JSON."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from limner.cli.console import one_line, table
from limner.cli.sheet import when
from limner.library.entries import Entry

_OTHER_COLUMNS = 74  # width of a row without its prompt
_MIN_PROMPT = 24
_COLUMNS = ("id", "when", "rated", "model", "seed", "size", "prompt")


def show_table(entries: Sequence[Entry]) -> None:
    """One line a picture. In a terminal prompts are cut to its width, elsewhere they are whole."""
    terminal = sys.stdout.isatty()
    room = max(_MIN_PROMPT, shutil.get_terminal_size().columns - _OTHER_COLUMNS) if terminal else sys.maxsize
    foreign = any(entry.source != "limner" for entry in entries)
    columns = (*_COLUMNS[:-1], "from", "prompt") if foreign else _COLUMNS
    rows = [_row(entry, room, 24 if terminal else sys.maxsize, foreign=foreign) for entry in entries]
    table(columns, rows)


def stars(rating: int | None) -> str:
    """``★★★`` for 3; empty where there is no rating."""
    return "★" * (rating or 0)


def as_json(entry: Entry) -> dict[str, object]:
    """What a list says of a picture; ``gallery show --json`` adds the Record and the scores."""
    return {
        "id": entry.id,
        "path": str(entry.path),
        "lost": entry.lost,
        "created": entry.created,
        "source": entry.source,
        "rating": entry.rating,
        "model": entry.model,
        "seed": entry.seed,
        "width": entry.width,
        "height": entry.height,
        "format": entry.format,
        "prompt": entry.prompt,
        "negative": entry.negative,
        "parent": entry.parent,
        "image_key": entry.image_key,
        "pixel_hash": entry.pixel_hash,
    }


def _row(entry: Entry, room: int, model_room: int, *, foreign: bool) -> list[object]:
    prompt = ("(file lost) " if entry.lost else "") + entry.prompt
    row: list[object] = [
        entry.id,
        when(entry.created),
        stars(entry.rating),
        one_line(entry.model, model_room),
        entry.seed,
        f"{entry.width}x{entry.height}",
    ]
    return [*row, *([entry.source] if foreign else []), one_line(prompt, room)]
