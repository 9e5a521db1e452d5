"""Take up folders of pictures: another program's, or our own whose rows were lost.

An import may be stopped at any moment and started again: files already taken up are known by path, size and time, and
are passed over without being opened. A damaged file is listed, never a reason to stop.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from sqlite3 import Row

from limner.disk import write_atomic
from limner.errors import LimnerError, PictureNotFound
from limner.library.database import Cell, Database
from limner.library.entries import COLUMNS, INSERT, Entry, IdClock, stored_path, to_row
from limner.library.files import SUFFIXES, format_name, opened, pixel_hash, read_bytes, to_pixels
from limner.library.metadata import Found, Source, fields_of, of_image
from limner.types import Record

BATCH = 500
_CONTENT = ("pixel_hash", "record", "fields")  # where these are equal, all that the file says is
_KEPT = ("id", "path", "rating")  # the rest of a row is the file's
_UPDATE = f"""UPDATE pictures SET {", ".join(f"{c} = :{c}" for c in COLUMNS.split(", ") if c not in _KEPT)}
WHERE path = :path"""
_UNSCORE = "DELETE FROM scores WHERE picture IN (SELECT id FROM pictures WHERE path = :path)"
_WORKERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that could not be taken up, and why."""

    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import, or one moment of it, has come to. ``total`` counts all picture files found, ``updated`` those
    that were edited since they were taken up."""

    total: int
    added: int = 0
    known: int = 0
    duplicates: int = 0
    updated: int = 0
    sources: tuple[tuple[Source, int], ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def done(self) -> int:
        return self.added + self.known + self.duplicates + self.updated + len(self.problems)


OnProgress = Callable[[ImportReport], None]


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class _Read:
    file: _File
    entry: Entry | None = None
    problem: str | None = None


class Importer:
    """Reads files on a few threads, writes rows in batches of 500 in one transaction each."""

    def __init__(self, database: Database, root: Path, clock: IdClock, images: Path) -> None:
        self._database = database
        self._root = root
        self._clock = clock
        self._images = images

    def run(self, folder: Path, *, copy: bool, on_progress: OnProgress | None) -> ImportReport:
        """See ``Library.import_folder``."""
        if not folder.is_dir():
            raise PictureNotFound(f"there is no folder {folder}", hint="check the path")
        files = sorted(picture_files(folder.absolute()), key=lambda file: file.path)
        new, report = self._unseen(files)
        if on_progress is not None:
            on_progress(report)
        with ThreadPoolExecutor(_WORKERS) as pool:
            for batch in _batches(new, BATCH):
                report = self._store(list(pool.map(self._read, batch)), report, copy=copy)
                if on_progress is not None:
                    on_progress(report)
        return report

    def _unseen(self, files: Sequence[_File]) -> tuple[list[_File], ImportReport]:
        """The files to open, and the report so far. A file seen damaged is reported again without opening it."""
        rows = self._database.query("SELECT path, size, mtime_ns, problem FROM seen")
        seen = {(row["path"], row["size"], row["mtime_ns"]): row["problem"] for row in rows}
        report = ImportReport(total=len(files))
        new: list[_File] = []
        for file in files:
            key = (str(file.path), file.size, file.mtime_ns)
            if key not in seen:
                new.append(file)
            elif seen[key] is None:
                report = replace(report, known=report.known + 1)
            else:
                report = replace(report, problems=(*report.problems, Problem(file.path, seen[key])))
        return new, report

    def _read(self, file: _File) -> _Read:
        try:
            str(file.path).encode()
            entry = read_entry(file.path, self._clock.next(), created=_moment(file.mtime_ns))
        except UnicodeEncodeError:
            return _Read(file, problem="the file's name is not UTF-8")
        except LimnerError as error:
            return _Read(file, problem=error.message)
        return _Read(file, entry)

    def _store(self, batch: Sequence[_Read], report: ImportReport, *, copy: bool) -> ImportReport:
        """One transaction: rows of the new pictures, and that their files were seen."""
        entries = [read.entry for read in batch if read.entry is not None]
        fresh, edited, known = self._told_apart(entries)
        if copy:
            fresh = [self._copied(entry) for entry in fresh]
        seen = [(str(r.file.path), r.file.size, r.file.mtime_ns, r.problem) for r in batch if _storable(r)]
        with self._database.writing() as connection:
            connection.executemany(INSERT, [to_row(entry, self._root) for entry in fresh])
            connection.executemany(_UPDATE, [_named(entry, self._root) for entry in edited])
            connection.executemany(_UNSCORE, [_named(entry, self._root) for entry in edited])
            connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", seen)
        sources = dict(report.sources)
        for entry in fresh:
            source: Source = entry.source  # type: ignore[assignment]
            sources[source] = sources.get(source, 0) + 1
        problems = tuple(Problem(r.file.path, r.problem) for r in batch if r.problem is not None)
        return replace(
            report,
            added=report.added + len(fresh),
            known=report.known + known,
            duplicates=report.duplicates + len(entries) - len(fresh) - len(edited) - known,
            updated=report.updated + len(edited),
            sources=tuple(sorted(sources.items())),
            problems=report.problems + problems,
        )

    def _told_apart(self, entries: Iterable[Entry]) -> tuple[list[Entry], list[Entry], int]:
        """The new pictures, those whose file was edited in place, and the number whose file was only touched. Left
        out: other files with pixels and words that the library has, and lossy copies."""
        fresh: list[Entry] = []
        edited: list[Entry] = []
        known = 0
        met: set[tuple[str, str]] = set()
        for entry in entries:
            key = (entry.pixel_hash, entry.prompt)
            if rows := self._rows("path = ?", stored_path(entry.path, self._root)):
                row = _named(entry, self._root)
                if all(rows[0][column] == row[column] for column in _CONTENT):
                    known += 1
                else:
                    edited.append(entry)
            elif key not in met and not self._there(entry):
                met.add(key)
                fresh.append(entry)
        return fresh, edited, known

    def _there(self, entry: Entry) -> bool:
        """Has the library this picture: the same pixels and words, or what this is a lossy copy of, whose pixels cannot
        be compared but whose Record it carries?"""
        if self._rows("pixel_hash = ? AND prompt = ? LIMIT 1", entry.pixel_hash, entry.prompt):
            return True
        same = "image_key = ? AND pixel_hash = ? LIMIT 1"
        if entry.image_key is not None and self._rows(same, entry.image_key, entry.pixel_hash):
            return True  # its words were kept out of the file
        record = entry.record
        if record is None or entry.format == "png" or (entry.width, entry.height) != _size(record):
            return False
        return bool(self._rows(same, record.image_key, record.pixel_hash))

    def _rows(self, where: str, *values: str) -> list[Row]:
        return self._database.query(f"SELECT {', '.join(_CONTENT)} FROM pictures WHERE {where}", values)

    def _copied(self, entry: Entry) -> Entry:
        """The entry with its file copied into the library, byte for byte."""
        folder = self._images / entry.created[:4] / entry.created[5:7]
        target = folder / f"{entry.id}{entry.path.suffix.lower()}"
        write_atomic(target, read_bytes(entry.path))
        return replace(entry, path=target)


def read_entry(path: Path, name: str, *, created: str, ours: bool = False) -> Entry:
    """A file as an Entry called ``name``. ``created`` is used where the file has no Record.

    All pixels are read: damage is found, and a Record only counts as the picture's cache key where its pixel hash is
    true. ``ours``: the file is from the library's own folder, so its Record is believed and no pixel is read.

    Raises ``UnreadablePicture``, ``PictureNotFound``, ``StorageError``.
    """
    with opened(path) as image:
        found = of_image(image)
        record = found.record
        believed = ours and record is not None
        shown = None if believed else to_pixels(image)
        width, height = image.size if shown is None else (shown.shape[1], shown.shape[0])
        format = format_name(image)
    true_hash = None if shown is None else pixel_hash(shown)
    told = record or found.brief
    claimed = None if told is None else told.pixel_hash
    if told is not None and told.watermark is not None and true_hash == told.watermark.pixel_hash:
        true_hash = told.pixel_hash  # the Record vouches for the marked pixels: it is the picture as it was drawn
    fields = dict(found.fields) if record is None else fields_of(record)
    seed = fields.get("seed")
    return Entry(
        id=name,
        path=path,
        record=record,
        fields=fields,
        source=found.source,
        created=created if told is None else told.created,
        rating=None,
        width=width,
        height=height,
        format=format,
        pixel_hash=true_hash or claimed or "",
        image_key=told.image_key if told is not None and true_hash in (None, claimed) else None,
        prompt=_words(found, "prompt"),
        negative=_words(found, "negative"),
        model=_words(found, "model"),
        seed=seed if isinstance(seed, int) else None,
        parent=None if record is None else record.parent,
    )


def picture_files(folder: Path) -> Iterator[_File]:
    """All files below ``folder`` with a picture's suffix. Hidden folders and what cannot be listed are passed over."""
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    elif Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file():
                        status = entry.stat()
                        yield _File(Path(entry.path), status.st_size, status.st_mtime_ns)
        except OSError:
            continue


def _size(record: Record) -> tuple[int, int]:
    return record.recipe.finished


def _named(entry: Entry, root: Path) -> dict[str, Cell]:
    """The entry's row by column."""
    return dict(zip(COLUMNS.split(", "), to_row(entry, root), strict=True))


def _words(found: Found, name: str) -> str:
    return str(found.fields.get(name, ""))


def _moment(mtime_ns: int) -> str:
    return datetime.fromtimestamp(mtime_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _storable(read: _Read) -> bool:
    try:
        str(read.file.path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _batches(files: Sequence[_File], size: int) -> Iterator[list[_File]]:
    waiting = iter(files)
    while batch := list(islice(waiting, size)):
        yield batch
