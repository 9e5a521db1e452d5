"""Prompts from a file: .txt, .csv, .tsv (PartiPrompts' included) and .jsonl, each line with its own settings.

Columns that are settings of a request become ``fields``; all others become ``tags`` (PartiPrompts' Category, Challenge
and Note).
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from limner.canonical import content_hash
from limner.errors import InvalidRequest
from limner.prompts.text import read_text
from limner.types import parse_size

LARGEST_FILE: Final = 50_000_000  # bytes
LARGEST_PROMPT: Final = 100_000  # characters

FieldValue: TypeAlias = str | int | float | tuple[str, ...]
_Cell: TypeAlias = str | int | float | None

_FIELDS: Final[Mapping[str, type]] = {
    "seed": int,
    "steps": int,
    "guidance": float,
    "width": int,
    "height": int,
    "size": str,
    "model": str,
    "n": int,
    "solver": str,
    "styles": tuple,
    "loras": tuple,
    "vae": str,
    "init": str,
    "mask": str,
    "strength": float,
    "resize": str,
    "mask_blur": float,
    "inpaint_fill": str,
    "inpaint_padding": int,
    "hires": float,
    "hires_strength": float,
    "hires_steps": int,
    "hires_upscaler": str,
    "upscale": str,
}
_LIKE: Final = 0.7  # difflib ratio: "stps" is steps, "Note" is nothing of ours
_ALIASES: Final = {
    "text": "prompt",
    "caption": "prompt",
    "negative_prompt": "negative",
    "cfg": "guidance",
    "cfg_scale": "guidance",
    "guidance_scale": "guidance",
    "num_inference_steps": "steps",
    "style": "styles",
    "lora": "loras",
    "count": "n",
}


@dataclass(frozen=True, slots=True)
class PromptLine:
    """One prompt of a file. ``fields`` are named as in Request: ``Request.of(prompt=..., negative=..., **fields)``.

    ``id`` hashes prompt, negative and fields, with "-2", "-3" ... for repeated lines: it stays when other lines are
    added, moved or removed, so that a second run can skip what is drawn. ``line`` counts from 1.
    """

    prompt: str
    negative: str = ""
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    line: int = 0


def read_prompts(path: Path) -> tuple[PromptLine, ...]:
    """The prompts of a file, in order; its suffix says how to read it.

    .txt: one a line; blank lines and lines that begin with ``#`` are skipped (``\\#`` for a prompt that does).
    .csv, .tsv: the first row names the columns, one of them ``prompt``. .jsonl: an object a line.
    UTF-8, with or without a BOM; at most 50 MB, 100,000 characters a prompt.
    Raises InvalidRequest naming the file and, where there is one, the line.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidRequest(
            f"prompt file {path}: the ending says nothing of its format",
            field="prompt",
            hint=f"name it one of {', '.join(_READERS)}",
        )
    text = read_text(path, limit=LARGEST_FILE, what="prompt file", field="prompt")
    lines = tuple(_identified(reader(text, path)))
    if not lines:
        raise InvalidRequest(f"prompt file {path} holds no prompt", field="prompt", hint="put one on each line")
    return lines


def misnamed(lines: Iterable[PromptLine]) -> Mapping[str, str]:
    """Columns that were kept as tags but are likely a field misspelt, and the field: ``{"stps": "steps"}``."""
    columns = dict.fromkeys(column for line in lines for column in line.tags)
    return {column: meant for column in columns if (meant := _meant(column))}


def _meant(column: str) -> str | None:
    """The field that an unknown column's name is close to."""
    known = ("prompt", "negative", *_FIELDS, *_ALIASES)
    near = difflib.get_close_matches(_named(column), known, n=1, cutoff=_LIKE)
    return _named(near[0]) if near else None


def _identified(lines: Iterable[PromptLine]) -> Iterator[PromptLine]:
    seen: Counter[str] = Counter()
    for line in lines:
        key = content_hash([line.prompt, line.negative, dict(line.fields)]).removeprefix("sha256:")[:16]
        seen[key] += 1
        yield replace(line, id=key if seen[key] == 1 else f"{key}-{seen[key]}")


def _txt(text: str, path: Path) -> Iterator[PromptLine]:
    for number, line in enumerate(text.split("\n"), 1):
        words = line.strip()
        if words and not words.startswith("#"):
            yield _line({"prompt": words[1:] if words.startswith("\\#") else words}, path, number)


def _csv(text: str, path: Path) -> Iterator[PromptLine]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    csv.field_size_limit(LARGEST_FILE)  # a setting of the process; the prompt's own limit has the better message
    rows = _numbered(reader, path)
    yield from _table(rows, path)


def _numbered(reader: Iterator[list[str]], path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line they begin at: a quoted cell may hold line ends."""
    line = 1
    try:
        for row in reader:
            yield line, row
            line = getattr(reader, "line_num", line) + 1
    except csv.Error as error:
        raise _wrong(path, line, str(error), "quote cells that hold commas or quotes") from None


def _tsv(text: str, path: Path) -> Iterator[PromptLine]:
    # Line by line, since many TSV files are written without quoting: a prompt may begin with a lone quote.
    rows = ((number, [_unquoted(cell) for cell in line.split("\t")]) for number, line in enumerate(text.split("\n"), 1))
    yield from _table(rows, path)


def _unquoted(cell: str) -> str:
    inside = cell[1:-1]
    quoted = len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in inside.replace('""', "")
    return inside.replace('""', '"') if quoted else cell


def _table(rows: Iterable[tuple[int, Sequence[str]]], path: Path) -> Iterator[PromptLine]:
    columns: list[str] | None = None
    for number, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if columns is None:
            columns = [cell.strip() for cell in row]
            if "prompt" not in map(_named, columns):
                raise _wrong(path, number, "no column is called prompt", _columns_hint(columns))
            continue
        if len(row) > len(columns):
            raise _wrong(path, number, f"{len(row)} cells, but {len(columns)} columns", "quote cells that hold commas")
        yield _line(dict(zip(columns, row, strict=False)), path, number)


def _columns_hint(columns: Sequence[str]) -> str:
    had = ", ".join(column[:20] for column in columns[:8])
    likely = next((column for column in columns if _meant(column) == "prompt"), None)
    if likely is None:
        return f"the first row must name the columns; it has {had}"
    return f"it has {had}; did you mean {likely[:20]} → prompt?"


def _jsonl(text: str, path: Path) -> Iterator[PromptLine]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _wrong(path, number, f"not JSON ({error})", "write one object a line") from None
        if not isinstance(value, dict):
            raise _wrong(path, number, "not an object", 'write {"prompt": "..."}')
        yield _line({key: _cell(key, cell, path, number) for key, cell in value.items()}, path, number)


def _cell(key: str, value: object, path: Path, number: int) -> _Cell:
    """A JSON value as one cell; a list of texts is the list of styles, or a tag."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    raise _wrong(path, number, f"{key!r} is neither text nor a number", "flatten nested values")


def _line(cells: Mapping[str, _Cell], path: Path, number: int) -> PromptLine:
    texts: dict[str, str] = {"prompt": "", "negative": ""}
    fields: dict[str, FieldValue] = {}
    tags: dict[str, str] = {}
    for column, cell in cells.items():
        name = _named(column)
        words = "" if cell is None else str(cell).strip()
        if name in texts:
            texts[name] = texts[name] or words
        elif words and name in _FIELDS:
            fields |= _value(name, words, path, number)
        elif words and column:
            tags[column] = words
    if not texts["prompt"]:
        raise _wrong(path, number, "the prompt is empty", "say what to draw, or remove the line")
    if (longest := max(map(len, texts.values()))) > LARGEST_PROMPT:
        raise _wrong(path, number, f"{longest:,} characters; the limit is {LARGEST_PROMPT:,}", "split it")
    return PromptLine(texts["prompt"], texts["negative"], fields, tags, line=number)


def _named(column: str) -> str:
    name = column.strip().lower().replace(" ", "_").replace("-", "_")
    return _ALIASES.get(name, name)


def _value(name: str, words: str, path: Path, number: int) -> dict[str, FieldValue]:
    kind = _FIELDS[name]
    try:
        if name == "size":
            width, height = parse_size(words)
            return {"width": width, "height": height}
        if kind is tuple:
            return {name: tuple(part for part in (style.strip() for style in words.split(",")) if part)}
        if kind is int:
            return {name: _whole(words)}
        return {name: _finite(words) if kind is float else words}
    except InvalidRequest as error:
        raise _wrong(path, number, error.message, error.hint, name) from None
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        raise _wrong(
            path, number, f"{name} is {words[:40]!r}, not {noun}", "leave it empty for the default", name
        ) from None


def _whole(words: str) -> int:
    """An integer, also as spreadsheets write it ("20.0")."""
    head, dot, tail = words.partition(".")
    if dot and tail.strip("0"):
        raise ValueError(words)
    return int(head)


def _finite(words: str) -> float:
    value = float(words)
    if not math.isfinite(value):
        raise ValueError(words)
    return value


def _wrong(path: Path, number: int, what: str, hint: str, name: str = "prompt") -> InvalidRequest:
    return InvalidRequest(f"prompt file {path}, line {number}: {what}", field=name, hint=hint)


_READERS: Final[Mapping[str, Callable[[str, Path], Iterator[PromptLine]]]] = {
    ".txt": _txt,
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
}
