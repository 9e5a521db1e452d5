"""Pictures as a table and as JSON."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

from limner.cli.console import one_line, table
from limner.cli.sheet import when
from limner.library.entries import Entry

_GAP = 3  # between the columns of a drawn table
_EDGES = 2
_HIDDEN = (
    (100, ("seed", "size")),
    (70, ("from", "model")),
)  # in terminals with fewer columns the prompt needs the room
_MIN_PROMPT = 20
_MODEL = 20
NO_SCORES: Mapping[str, Mapping[str, float]] = {}


def show_table(entries: Sequence[Entry], scored: Mapping[str, Mapping[str, float]] = NO_SCORES) -> None:
    """One line a picture. In a terminal prompts are cut to its width, elsewhere everything is whole. ``scored`` are
    values by scorer and picture id: a column each."""
    rows = [_with_scores(_row(entry), entry, scored) for entry in entries]
    if all(entry.source == "limner" for entry in entries):
        rows = [_without(row, "from") for row in rows]
    if sys.stdout.isatty():
        rows = _fitted(rows, entries, shutil.get_terminal_size().columns)
    table(list(rows[0]) if rows else [], [list(row.values()) for row in rows])


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


def _row(entry: Entry) -> dict[str, str]:
    """Cells by column, in the order of the columns."""
    return {
        "id": entry.id,
        "when": when(entry.created),
        "rated": stars(entry.rating),
        "model": one_line(entry.model, sys.maxsize),
        "seed": "" if entry.seed is None else str(entry.seed),
        "size": f"{entry.width}x{entry.height}",
        "from": entry.source,
        "prompt": one_line(("(file lost) " if entry.lost else "") + _words(entry), sys.maxsize),
    }


def _with_scores(row: dict[str, str], entry: Entry, scored: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """The row with a cell a scorer, before the prompt."""
    cells = {name: f"{values[entry.id]:.4g}" if entry.id in values else "" for name, values in scored.items()}
    return _without(row, "prompt") | cells | {"prompt": row["prompt"]}


def _words(entry: Entry) -> str:
    """What a picture is of: its prompt, a morph's frame both and the share of the second; where no words are known, the
    file's name in brackets."""
    record = entry.record
    if record is not None and record.request.morph_to:
        return f"{entry.prompt} → {record.request.morph_to} {100 * record.recipe.morph:.0f} %"
    return entry.prompt if entry.prompt.strip() else f"({entry.path.name})"


def _fitted(rows: Sequence[dict[str, str]], entries: Sequence[Entry], width: int) -> list[dict[str, str]]:
    """Rows that fit a terminal ``width`` columns wide: less said, and prompts cut."""
    hidden = [name for columns, names in _HIDDEN if width < columns for name in names]
    short = [
        _without(row | {"when": _short(entry.created), "model": one_line(row["model"], _MODEL)}, *hidden)
        for row, entry in zip(rows, entries, strict=True)
    ]
    others = [name for name in short[0] if name != "prompt"] if short else []
    taken = sum(max(len(name), *(len(row[name]) for row in short)) + _GAP for name in others)
    room = max(_MIN_PROMPT, width - taken - _EDGES)
    return [row | {"prompt": one_line(row["prompt"], room)} for row in short]


def _short(created: str) -> str:
    """The time of today's pictures, the day of others."""
    local = when(created)
    today = datetime.now().astimezone().strftime("%Y-%m-%d")
    return local.partition(" ")[2] if local.startswith(today) else local.partition(" ")[0]


def _without(row: dict[str, str], *names: str) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if name not in names}
