"""The Library: a folder with a SQLite history, the picture files and the inputs.

::

    root/limner.db                     what is known of every picture
    root/images/2026/11/<id>.png       the pictures, each with its Record inside
    root/inputs/                       pictures given to requests, by content hash

The file is written before its row, so a row never promises a file that was not there; a file whose row did not come
about is adopted by ``reconcile``.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from limner.disk import storage_error, write_atomic
from limner.errors import InvalidRequest, LibraryError, PictureNotFound, StorageError
from limner.library import entries, queries
from limner.library.a1111 import NO_NAMES
from limner.library.browse import Browse
from limner.library.database import Database
from limner.library.entries import COLUMNS, Entry, IdClock, Query
from limner.library.files import SUFFIX, SUFFIXES, Format, encode
from limner.library.imports import Importer, ImportReport, OnProgress
from limner.library.inputs import Inputs
from limner.library.lookup import Lookup
from limner.library.metadata import fields_of
from limner.library.reconcile import Reconciled, absent, reconcile
from limner.library.runs import RunItem, Runs
from limner.library.scores import Scores
from limner.types import Record, Score

if TYPE_CHECKING:
    from limner.types import Pixels

IMAGES = "images"
INPUTS = "inputs"


class Library:
    """History and files under ``root``. Nothing is opened or created before the first use.

    Safe to use from several threads and several processes at once. ``sampler_names`` maps our solver names to the
    A1111 web UI's, for the text in files. ``browse`` walks through it as galleries do. Every method may raise
    ``LibraryError`` (the database is damaged, in use, or newer than this Limner) and ``StorageError`` (disk full, not
    writable).
    """

    def __init__(self, root: Path, *, sampler_names: Mapping[str, str] = NO_NAMES) -> None:
        self.root = root.expanduser().absolute()
        self.database = Database(self.root, on_created=self._adopt_all)
        self._sampler_names = sampler_names
        self._clock = IdClock()
        self._lookup = Lookup(self.database, self.root)
        self._full_text: bool | None = None
        self._runs = Runs(self.database, self.root)
        self._scores = Scores(self.database)
        self.inputs = Inputs(self.root / INPUTS)
        self.browse = Browse(self.database, self.root, self._has_text_index)

    def close(self) -> None:
        """Close the database; the next use opens it again."""
        self.database.close()

    def add(
        self,
        pixels: Pixels,
        record: Record,
        *,
        format: Format = "png",
        parent: str | None = None,
        quality: int = 92,
    ) -> Entry:
        """Store a finished picture: H x W x 3 uint8 pixels and their Record. The file is on the disk on return."""
        data = encode(pixels, record, format, quality=quality, sampler_names=self._sampler_names)
        return self.add_encoded(data, record, format, size=(pixels.shape[1], pixels.shape[0]), parent=parent)

    def add_encoded(
        self, data: bytes, record: Record, format: Format, *, size: tuple[int, int], parent: str | None = None
    ) -> Entry:
        """As ``add``, for a file already encoded (and, where wanted, signed). ``size`` is width, height in pixels."""
        with contextlib.suppress(LibraryError, StorageError):
            self.database.query("SELECT 1")  # a new database adopts the files it finds: let it look before this one
        name = self._clock.next()
        path = self.root / IMAGES / record.created[:4] / record.created[5:7] / f"{name}{SUFFIX[format]}"
        entry = entry_of(name, path, record, format, size, parent=parent)
        write_atomic(path, data)
        try:
            self.insert([entry])
        except (LibraryError, StorageError) as error:
            error.hint = f"{error.hint}; the picture itself is safe: {path}"
            raise
        return entry

    def insert(self, new: Iterable[Entry]) -> None:
        """Rows for files that are already there, in one transaction."""
        self.database.write_many(entries.INSERT, [entries.to_row(entry, self.root) for entry in new])

    def new_id(self) -> str:
        """A fresh picture id."""
        return self._clock.next()

    def get(self, what: str) -> Entry:
        """A picture by id, by a unique beginning or end of an id (3 characters or more), or by its file's path.

        ``last`` or ``@1`` is the newest that Limner drew, ``@2`` the one before it. A copy elsewhere is found by the
        Record it carries.
        Raises ``PictureNotFound`` naming the candidates.
        """
        return self._lookup.get(what)

    def find_by_key(self, image_key: str) -> Entry | None:
        """The newest picture with this image key whose file is still there."""
        for entry in self._entries("image_key = ? AND lost = 0 ORDER BY n DESC", image_key):
            if entry.path.is_file():
                return entry
        return None

    def list(self, query: Query | None = None) -> list[Entry]:
        """A page of pictures. Raises ``InvalidRequest`` for an unknown order."""
        sql, values = queries.select(query or Query(), full_text=self._has_text_index())
        return [entries.of_row(row, self.root) for row in self.database.query(sql, values)]

    def count(self, query: Query | None = None) -> int:
        """How many pictures a query finds on all its pages."""
        sql, values = queries.count(query or Query(), full_text=self._has_text_index())
        return int(self.database.query(sql, values)[0][0])

    def rate(self, what: str, rating: int | None) -> Entry:
        """Rate a picture 1 to 5, or take its rating back. Raises ``InvalidRequest``, ``PictureNotFound``."""
        if rating is not None and not 1 <= rating <= 5:
            raise InvalidRequest(f"rating: {rating} is not between 1 and 5", field="rating", hint="rate 1 to 5")
        entry = self.get(what)
        self.database.write("UPDATE pictures SET rating = ? WHERE id = ?", (rating, entry.id))
        return self.get(entry.id)

    def delete(self, ids: Sequence[str], *, keep_file: bool = False) -> Sequence[Entry]:
        """Forget pictures and remove their files; files outside the library (imported in place) always stay.

        All ids are looked up before anything is deleted. Raises ``PictureNotFound``, ``StorageError``.
        """
        found = {entry.id: entry for entry in map(self.get, ids)}.values()
        with self.database.writing() as connection:
            connection.executemany("DELETE FROM pictures WHERE id = ?", [(entry.id,) for entry in found])
        for entry in found:
            if not keep_file and entry.path.is_relative_to(self.root / IMAGES):
                _unlink(entry.path)
        return tuple(found)

    def score(self, what: str, score: Score) -> None:
        """Store a score of a picture; the same scorer, revision and text replaces its earlier one."""
        self._scores.add([(self.get(what).id, score)])

    def add_scores(self, scored: Iterable[tuple[str, Score]]) -> None:
        """Store scores by picture id, all in one transaction. Those of a picture that is gone are not kept."""
        self._scores.add(scored)

    def scores(self, what: str) -> Sequence[Score]:
        """All scores of a picture, by scorer."""
        return self._scores.of(self.get(what).id)

    def values(self, scorer: str, ids: Sequence[str], *, highest: bool = True) -> Mapping[str, float]:
        """By picture id, the highest (or lowest) value that a scorer gave; pictures without one are left out."""
        return self._scores.values(scorer, ids, highest=highest)

    def scorers(self) -> Sequence[str]:
        """Names of the scorers whose scores are here."""
        return self._scores.scorers()

    def export(self, ids: Sequence[str], folder: Path) -> Sequence[Path]:
        """Copy pictures' files, byte for byte, into ``folder`` as ``<id>.<suffix>``. Nothing there is overwritten."""
        paths: list[Path] = []
        for entry in [self.get(name) for name in ids]:
            target = folder / f"{entry.id}{_suffix(entry)}"
            try:
                data = entry.path.read_bytes()
            except OSError as error:
                raise PictureNotFound(
                    f"the file of picture {entry.id} is gone: {entry.path}",
                    hint=f"limner replay {entry.id} draws it anew",
                ) from error
            if not target.exists():
                write_atomic(target, data)
            paths.append(target)
        return paths

    def import_folder(self, folder: Path, *, copy: bool = False, on_progress: OnProgress | None = None) -> ImportReport:
        """Take up all PNG, JPEG and WebP files below ``folder``, where they lie or (``copy``) copied into the library.

        Resumable: unchanged files already seen are passed over, those deleted from the library since included. The same
        pixels with the same words are taken up once; a file edited in place is read anew. ``on_progress`` is called
        after each 500 files. Damaged files are in the report. Raises ``PictureNotFound`` where there is no such folder.
        """
        importer = Importer(self.database, self.root, self._clock, self.root / IMAGES)
        return importer.run(folder, copy=copy, on_progress=on_progress)

    def missing(self) -> Sequence[Entry]:
        """Pictures whose file is not there now."""
        names = json.dumps(absent(self.database, self.root))
        return self._entries("id IN (SELECT value FROM json_each(?)) ORDER BY n", names)

    def reconcile(self) -> Reconciled:
        """Adopt files without rows, mark rows without files lost, and take that mark back from files found again."""
        return reconcile(self.database, self.root, self.root / IMAGES, self._clock)

    def run_start(self, run_id: str, item_id: str, seed: int, pictures: Sequence[str | None]) -> None:
        """A line of a prompt file will be drawn from ``seed``. ``pictures``: ids by place; ``None`` is to come."""
        self._runs.start(run_id, item_id, seed, pictures)

    def run_add(self, run_id: str, item_id: str, place: int, picture: str) -> None:
        """Picture number ``place`` (from 0) of a started line is drawn."""
        self._runs.add(run_id, item_id, place, picture)

    def run_done(self, run_id: str) -> set[str]:
        """The lines all of whose pictures are still here, file and row."""
        return self._runs.done(run_id)

    def run_item(self, run_id: str, item_id: str) -> RunItem | None:
        """What is drawn and still here of a line; ``None`` where it was never started."""
        return self._runs.item(run_id, item_id)

    def _adopt_all(self) -> None:
        """A new database beside old pictures: its predecessor was lost or moved away."""
        if (self.root / IMAGES).is_dir():
            self.reconcile()

    def _entries(self, where: str, *values: str) -> Sequence[Entry]:
        rows = self.database.query(f"SELECT {COLUMNS} FROM pictures WHERE {where}", values)
        return [entries.of_row(row, self.root) for row in rows]

    def _has_text_index(self) -> bool:
        if self._full_text is None:
            self._full_text = self.database.has_table("pictures_text")
        return self._full_text


def entry_of(
    name: str, path: Path, record: Record, format: Format, size: tuple[int, int], *, parent: str | None = None
) -> Entry:
    """The Entry of one of our own pictures. ``size`` is width, height in pixels."""
    return Entry(
        id=name,
        path=path,
        record=record,
        fields=fields_of(record),
        source="limner",
        created=record.created,
        rating=None,
        width=size[0],
        height=size[1],
        format=format,
        pixel_hash=record.pixel_hash,
        image_key=record.image_key,
        prompt=record.prompt,
        negative=record.negative,
        model=record.model.name,
        seed=record.seed.seed,
        parent=parent or record.parent,
    )


def _suffix(entry: Entry) -> str:
    suffix = entry.path.suffix.lower()
    return suffix if suffix in SUFFIXES else ".png"


def _unlink(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        try:
            path.unlink()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_error(error, path) from error
