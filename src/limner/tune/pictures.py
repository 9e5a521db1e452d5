"""The pictures a LoRA is trained on, from a folder or a manifest, each with its words. Torch-free."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from limner.canonical import file_hash, tagged
from limner.errors import InvalidRequest, LibraryError, UnreadablePicture

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
MANIFEST = "metadata.jsonl"
LEAST = 3
"""Fewer pictures than these teach a pose, not a subject."""
NAMES = ("image", "file", "file_name", "path")
WORDS = ("caption", "text", "prompt")
MAX_PIXELS = 100_000_000
LONGEST = 100_000
"""Characters of a manifest's field. csv's own limit is the whole process's, and others raise it."""


@dataclass(frozen=True, slots=True)
class Example:
    """One picture. ``caption`` is what is said of it, ``None`` where nothing is; ``size`` is (width, height)."""

    path: Path
    caption: str | None
    hash: str
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Examples:
    """All of them, in order of their names, and what to say of them."""

    found: tuple[Example, ...]
    notices: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Of pictures and words together: what a resumed run must find again."""
        return tagged("\n".join(f"{each.hash} {each.caption}" for each in self.found).encode("utf-8", "replace"))


def read_examples(source: Path) -> Examples:
    """A folder (captions in ``NAME.txt`` beside ``NAME.png``, and a ``metadata.jsonl`` where there is one), or a .jsonl
    or .csv file with the columns image and caption, paths relative to it.

    Raises ``InvalidRequest`` for a source that is none or holds fewer than three pictures, ``UnreadablePicture`` for
    damaged pictures, all of them named.
    """
    listed, left = _listed(source)
    notices = list(left)
    found: dict[str, Example] = {}
    broken: list[str] = []
    for path, caption in listed:
        try:
            example = _example(path, caption)
        except UnreadablePicture as error:
            broken.append(error.message)
            continue
        if (twin := found.get(example.hash)) is not None:
            notices.append(_twice(path, caption, twin))
            continue
        found[example.hash] = example
    if broken:
        more = f", and {len(broken) - 3} more" if len(broken) > 3 else ""
        raise UnreadablePicture(
            f"{len(broken)} of {len(listed)} pictures cannot be read: {'; '.join(broken[:3])}{more}",
            hint="take them out of the data, or mend them, and run again; nothing was trained yet",
        )
    if len(found) < LEAST:
        raise InvalidRequest(
            f"{source} holds {len(found)} pictures; at least {LEAST} are needed, and 10 to 30 are better",
            field="data",
            hint=f"pictures are files ending in {', '.join(sorted(SUFFIXES))}",
        )
    return Examples(tuple(sorted(found.values(), key=lambda each: each.path.name)), tuple(notices))


def _twice(path: Path, caption: str | None, twin: Example) -> str:
    said = f"{path.name} is the same picture as {twin.path.name}, and is used once"
    if path == twin.path:
        said = f"{path.name} is listed more than once, and is used once"
    return said if caption in (None, twin.caption) else f"{said}, as {twin.caption!r} and not as {caption!r}"


def _listed(source: Path) -> tuple[list[tuple[Path, str | None]], tuple[str, ...]]:
    """(picture, caption) of each, and what to say of what is left out."""
    source = source.expanduser()
    if source.is_dir():
        return _in_folder(source)
    if not source.is_file():
        raise InvalidRequest(f"there is no folder or file {source}", field="data", hint="check the path")
    if source.suffix.lower() not in (".jsonl", ".csv"):
        raise InvalidRequest(
            f"{source.name} is no manifest", field="data", hint="a folder of pictures, a .jsonl or a .csv file"
        )
    return [(path, caption or _beside(path)) for path, caption in _lines(source)], ()


def _in_folder(folder: Path) -> tuple[list[tuple[Path, str | None]], tuple[str, ...]]:
    beside = folder / MANIFEST
    said = dict(_lines(beside)) if beside.is_file() else {}
    try:
        there = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InvalidRequest(f"{folder} cannot be read: {error.strerror}", field="data", hint="check it") from error
    paths = [path for path in there if path.suffix.lower() in SUFFIXES and path.is_file()]
    stems = {path.stem for path in paths}
    left = {
        "folders in it, which are not looked into": [path for path in there if path.is_dir()],
        "files that are neither pictures that can be read here nor captions": [
            path for path in there if path.is_file() and path.suffix.lower() not in {*SUFFIXES, ".txt", ".jsonl"}
        ],
        "captions without a picture": [path for path in there if path.suffix == ".txt" and path.stem not in stems],
        f"pictures of {MANIFEST} that are not there": sorted(said.keys() - set(paths)),
    }
    notices = tuple(f"left out: {len(each)} {what}, such as {each[0].name}" for what, each in left.items() if each)
    return [(path, said.get(path) or _beside(path)) for path in paths], notices


def _beside(path: Path) -> str | None:
    text = path.with_suffix(".txt")
    try:
        return " ".join(text.read_text("utf-8").split()) or None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LibraryError(f"{text} cannot be read: {error}", hint="captions are UTF-8 text") from error


def _lines(source: Path) -> Iterator[tuple[Path, str | None]]:
    """(picture, caption) of each line of a manifest. Raises ``InvalidRequest`` naming the line."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:  # csv wants a quoted line's end as it is
            text = file.read()
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{source} cannot be read: {error}", field="data", hint="a UTF-8 text file") from error
    for number, row in _rows(source, text):
        name = next((str(row[key]) for key in NAMES if row.get(key)), None)
        if name is None:
            raise InvalidRequest(
                f"{source.name}, line {number}: no picture is named",
                field="data",
                hint=f"each line needs one of {', '.join(NAMES)}, and may have {', '.join(WORDS)}",
            )
        caption = next((" ".join(str(row[key]).split()) for key in WORDS if row.get(key)), None)
        yield source.parent / Path(name).expanduser(), caption or None


def _rows(source: Path, text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    if source.suffix.lower() == ".csv":
        rows, last = csv.DictReader(io.StringIO(text, newline="")), 1
        try:
            for each in rows:
                if any(len(field) > LONGEST for field in each.values() if isinstance(field, str)):
                    raise _torn(source, last + 1, f"field larger than {LONGEST} characters")
                last = rows.line_num
                yield last, each
        except csv.Error as error:
            raise _torn(source, rows.line_num + 1, str(error)) from error
        return
    for number, line in enumerate(text.split("\n"), 1):  # splitlines also ends lines inside of captions
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise InvalidRequest(
                f"{source.name}, line {number} is no JSON object",
                field="data",
                hint='such as {"image": "fox.png", "caption": "a fox"}',
            )
        yield number, row


def _torn(source: Path, line: int, why: str) -> InvalidRequest:
    return InvalidRequest(f"{source.name}, line {line}: {why}", field="data", hint="mend the line: a quote unclosed?")


def _example(path: Path, caption: str | None) -> Example:
    """Decoded once in full, so that a torn file is found before training and not in it."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise UnreadablePicture(f"{path.name} has {picture.width}x{picture.height} pixels")
            if picture.mode == "F":
                raise UnreadablePicture(f"{path.name} holds floating point numbers, of which no one says what is white")
            picture.load()
            return Example(path, caption, file_hash(path), picture.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadablePicture(f"{path.name}: {type(error).__name__}, {str(error)[:100]}") from error
