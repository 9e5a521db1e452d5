"""Styles: named additions to a prompt, as TOML tables, and A1111's ``styles.csv`` read into them.

::

    [cinematic]
    prompt = "{prompt}, cinematic lighting"
    negative = "flat lighting"
    description = "like a still from a film"
"""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from limner.errors import InvalidRequest, UnknownName
from limner.prompts.text import read_text

LARGEST_FILE: Final = 10_000_000  # bytes
_PLACE: Final = "{prompt}"
_KEYS: Final = ("prompt", "negative", "description")


@dataclass(frozen=True, slots=True)
class Style:
    """``prompt`` and ``negative`` hold ``{prompt}`` where the user's words go; without it they are appended."""

    name: str
    prompt: str = ""
    negative: str = ""
    description: str = ""


def apply(styles: Sequence[Style], prompt: str, negative: str = "") -> tuple[str, str]:
    """(prompt, negative) with each style applied in turn. Parts are joined by ", "; empty ones leave no comma."""
    for style in styles:
        prompt, negative = _filled(style.prompt, prompt), _filled(style.negative, negative)
    return prompt, negative


def choose(names: Sequence[str], known: Mapping[str, Style]) -> tuple[Style, ...]:
    """The styles of these names. Raises UnknownName (kind "style")."""
    for name in names:
        if name not in known:
            raise UnknownName("style", name, known, field="styles")
    return tuple(known[name] for name in names)


@cache
def builtin_styles() -> Mapping[str, Style]:
    """The styles that come with Limner, by name."""
    return _parsed(files("limner.prompts").joinpath("styles.toml").read_text("utf-8"), "the built-in styles")


def load_styles(path: Path) -> Mapping[str, Style]:
    """The styles of a TOML file, by name. Raises InvalidRequest naming the file and what is wrong in it."""
    return _parsed(read_text(path, limit=LARGEST_FILE, what="style file", field="styles"), str(path))


def import_a1111(path: Path) -> list[Style]:
    """The styles of A1111's ``styles.csv`` (columns name, prompt or text, negative_prompt), in the order written.

    Dividers (rows with a name only) are left out; of equal names the last counts, as in A1111.
    Raises InvalidRequest for a file that is no such table.
    """
    text = read_text(path, limit=LARGEST_FILE, what="style file", field="styles")
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    found: dict[str, Style] = {}
    try:
        columns = set(reader.fieldnames or ())
        if "name" not in columns or not columns & {"prompt", "text"}:
            raise InvalidRequest(
                f"{path} is not a styles.csv: it has no columns name and prompt",
                field="styles",
                hint="the first line must read name,prompt,negative_prompt",
            )
        for row in reader:
            name = (row["name"] or "").strip()
            style = Style(name, row.get("prompt") or row.get("text") or "", row.get("negative_prompt") or "")
            if name and (style.prompt or style.negative):
                found.pop(name, None)
                found[name] = style
    except csv.Error as error:
        raise InvalidRequest(
            f"{path}, line {reader.line_num}: {error}", field="styles", hint="is it a CSV file?"
        ) from None
    return list(found.values())


def to_toml(styles: Iterable[Style]) -> str:
    """The text of a style file that `load_styles` reads back."""
    return "\n".join(
        "\n".join(
            [f"[{_quoted(s.name)}]", *(f"{key} = {_quoted(value)}" for key in _KEYS if (value := getattr(s, key)))]
        )
        + "\n"
        for s in styles
    )


def _filled(template: str, words: str) -> str:
    if _PLACE in template:
        words = words.strip()
        # Without words the place leaves no ", " behind.
        filled = template.replace(_PLACE, words) if words else template.replace(_PLACE, "").strip(" ,")
        return filled.strip()
    return ", ".join(part for part in (words.strip(), template.strip()) if part)


def _parsed(text: str, where: str) -> Mapping[str, Style]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(f"{where}: {error}", field="styles", hint="it must be TOML") from None
    found: dict[str, Style] = {}
    for name, table in tables.items():
        if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
            raise InvalidRequest(
                f"{where}: {name!r} is not a table of texts", field="styles", hint='[name]\nprompt = "..."'
            )
        for key in table:
            if key not in _KEYS:
                raise UnknownName(f"setting of a style ({where}, {name})", key, _KEYS, field="styles")
        found[name] = Style(name, **table)
    return found


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, but TOML forbids a bare DEL and lone surrogates.
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")
