"""The library: file first, row second, and nothing that a crash, a second process or a careless hand can lose."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sqlite3
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner import disk
from limner.errors import InvalidRequest, LibraryError, PictureNotFound, StorageError
from limner.library.entries import ID, Entry, IdClock, Query
from limner.library.files import Format, decode, encode
from limner.library.metadata import read
from limner.library.store import Library
from limner.types import Score
from tests.unit.library.making import pixels, record

PROMPTS = ("a red fox in snow", "Ein Fuchs über Bäume", "雪の中の狐", '100% cotton_wool \'n "fox"')
LIKE_ONLY = pytest.param(False, id="like")
INDEXED = pytest.param(True, id="fts5")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "home")


def add(library: Library, k: int = 0, prompt: str = "a red fox", **more: object) -> Entry:
    image = pixels(k)
    return library.add(image, record(prompt, seed=k, image=image, **more))  # type: ignore[arg-type]


def test_nothing_is_made_before_the_first_use(tmp_path: Path) -> None:
    library = Library(tmp_path / "home")
    assert not (tmp_path / "home").exists()
    assert library.list() == []
    assert (tmp_path / "home" / "limner.db").is_file()


@pytest.mark.parametrize(("format", "suffix"), [("png", ".png"), ("jpeg", ".jpg"), ("webp", ".webp")])
def test_add_and_get(library: Library, format: Format, suffix: str) -> None:
    image = pixels()
    made = record("a fox", "blur", image=image)
    entry = library.add(image, made, format=format, parent="p")
    assert library.get(entry.id) == entry
    assert entry.path == library.root / "images" / "2026" / "11" / f"{entry.id}{suffix}"
    assert entry.record == made
    assert read(entry.path).record == made
    assert (entry.prompt, entry.negative, entry.model, entry.seed) == ("a fox", "blur", "pocket", 42)
    assert (entry.width, entry.height, entry.parent, entry.lost) == (48, 32, "p", False)
    if format == "png":
        assert np.array_equal(decode(entry.path), image)


def test_ids_sort_by_age_and_are_unique() -> None:
    clock = IdClock()
    ids = [clock.next() for _ in range(2000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 2000
    assert all(ID.fullmatch(name) for name in ids)


def test_a_picture_is_found_by_pieces_of_its_id_and_by_path(library: Library, tmp_path: Path) -> None:
    first, second = add(library, 1), add(library, 2)
    differs = next(k for k in range(14) if first.id[k] != second.id[k])
    assert library.get(first.id[: max(differs + 1, 3)]) == first
    assert library.get(second.id[-6:]) == second
    assert library.get(second.id.upper()) == second
    assert library.get(str(first.path)) == first
    (tmp_path / "copy.png").write_bytes(second.path.read_bytes())
    assert library.get(str(tmp_path / "copy.png")) == second


def test_last_is_the_newest_that_limner_drew(library: Library, tmp_path: Path) -> None:
    with pytest.raises(PictureNotFound, match="'last'"):
        library.get("last")
    folder = tmp_path / "screenshots"
    folder.mkdir()
    Image.fromarray(pixels(9)).save(folder / "later.png")
    assert library.import_folder(folder).added == 1
    assert library.get("last").source == "none"  # there is no other
    older, drawn = add(library, 1), add(library, 2)
    assert library.list(Query(limit=1))[0].source == "none"
    assert library.get("last").id == library.get("@1").id == drawn.id
    assert library.get("@2").id == older.id
    with pytest.raises(PictureNotFound) as caught:
        library.get("@3")
    assert "drew 2 of its pictures" in caught.value.hint


def test_an_ambiguous_piece_lists_its_pictures(library: Library) -> None:
    first, second = add(library, 1), add(library, 2)
    with pytest.raises(PictureNotFound, match="fits 2") as caught:
        library.get(first.id[:3])
    assert first.id in caught.value.hint
    assert second.id in caught.value.hint


def test_a_near_miss_is_offered(library: Library) -> None:
    entry = add(library)
    wrong = entry.id[:-1] + ("0" if entry.id[-1] != "0" else "1")
    with pytest.raises(PictureNotFound) as caught:
        library.get(wrong)
    assert entry.id in caught.value.hint


STRANGE = ["..", "../../etc/passwd", "/etc/passwd", "%", "*", "ab*", "'--", "C:\\x.png", "[a-z]??"]
STRANGE += ["~nobody/x.png", "images/../../a.png"]


@pytest.mark.parametrize("text", ["", *STRANGE, "a\0b", "\0.png", "\ud800.png", "' OR 1=1 --"], ids=ascii)
def test_no_text_reaches_beyond_the_library(library: Library, text: str) -> None:
    add(library)
    for asked in (text, text * 1000 + text, f"{library.root}/{text}"):
        with pytest.raises(PictureNotFound) as caught:
            library.get(asked)
        assert len(caught.value.message) < 200 + len(str(library.root))


@pytest.fixture(params=[LIKE_ONLY, INDEXED])
def searchable(request: pytest.FixtureRequest, library: Library) -> Library:
    for k, prompt in enumerate(
        ["a red fox in snow", "Ein Fuchs über Bäume", "雪の中の狐", '100% cotton_wool \'n "fox"']
    ):
        add(library, k, prompt, model="sdxl" if k == 1 else "pocket", created=f"2026-11-2{k}T00:00:00Z")
    if not request.param:
        library._full_text = False
    elif not library._has_text_index():
        pytest.skip("this SQLite has no FTS5")
    return library


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fox", {0, 3}),
        ("RED sno", {0}),
        ("fuchs Bäume", {1}),
        ("雪の", {2}),
        ("100%", {3}),
        ("cotton_w", {3}),
        ("sdxl", {1}),
        ("fox zebra", set()),
        ("NEAR(", set()),
        ('"', {3}),
        ("", {0, 1, 2, 3}),
    ],
)
def test_text_search(searchable: Library, text: str, found: set[int]) -> None:
    assert {entry.seed for entry in searchable.list(Query(text=text))} == found
    assert searchable.count(Query(text=text)) == len(found)


def test_filters_order_and_pages(searchable: Library) -> None:
    def seeds(**asked: object) -> list[int | None]:
        return [entry.seed for entry in searchable.list(Query(**asked))]  # type: ignore[arg-type]

    assert seeds() == [3, 2, 1, 0]
    assert seeds(descending=False, limit=2, offset=1) == [1, 2]
    assert seeds(model="sdxl") == [1]
    assert seeds(since="2026-11-21", until="2026-11-23") == [2, 1]
    assert seeds(seed=2) == [2]
    entries = {entry.seed: entry for entry in searchable.list()}
    for seed, rating in ((0, 2), (1, 5)):
        searchable.rate(entries[seed].id, rating)
    assert seeds(sort="rating") == [1, 0, 3, 2]
    assert seeds(rating=3) == [1]
    for seed, value in ((2, 0.9), (0, 0.1)):
        searchable.score(entries[seed].id, Score(scorer="s", revision="1", value=value, scale="0..1", domain="any"))
    assert seeds(sort="score") == [2, 0, 3, 1]
    assert seeds(sort="score", scorer="other") == [3, 2, 1, 0]
    with pytest.raises(InvalidRequest, match="sort"):
        searchable.list(Query(sort="beauty; DROP TABLE pictures"))  # type: ignore[arg-type]


def test_rating_is_one_to_five_or_none(library: Library) -> None:
    entry = add(library)
    assert library.rate(entry.id, 5).rating == 5
    assert library.rate(entry.id, None).rating is None
    for wrong in (0, 6):
        with pytest.raises(InvalidRequest, match="rating"):
            library.rate(entry.id, wrong)


def test_scores_are_kept_by_scorer_and_revision(library: Library) -> None:
    entry = add(library)
    first = Score(scorer="clip", revision="1", value=0.25, scale="cosine", domain="photos")
    library.score(entry.id, first)
    library.score(entry.id, first.model_copy(update={"value": 0.5}))
    library.score(entry.id, first.model_copy(update={"revision": "2"}))
    assert [(s.revision, s.value) for s in library.scores(entry.id)] == [("1", 0.5), ("2", 0.25)]
    library.delete([entry.id])
    assert library.database.query("SELECT * FROM scores") == []


def test_delete_takes_all_or_none(library: Library) -> None:
    first, second, third = (add(library, k) for k in range(3))
    with pytest.raises(PictureNotFound):
        library.delete([first.id, "nosuchpicture"])
    assert library.count() == 3
    library.delete([first.id, first.id])
    assert not first.path.exists()
    library.delete([second.id], keep_file=True)
    assert second.path.exists()
    third.path.unlink()
    library.delete([third.id])
    assert library.count() == 0


def test_find_by_key_wants_the_file_too(library: Library) -> None:
    old, new = add(library, 1), add(library, 1)
    assert old.image_key == new.image_key is not None
    assert library.find_by_key(new.image_key) == new
    new.path.unlink()
    assert library.find_by_key(new.image_key) == old
    old.path.unlink()
    assert library.find_by_key(new.image_key) is None


def test_export_copies_bytes_and_overwrites_nothing(library: Library, tmp_path: Path) -> None:
    entry = add(library)
    (path,) = library.export([entry.id], tmp_path / "out")
    assert path.read_bytes() == entry.path.read_bytes()
    path.write_bytes(b"mine")
    library.export([entry.id], tmp_path / "out")
    assert path.read_bytes() == b"mine"
    entry.path.unlink()
    with pytest.raises(PictureNotFound, match="gone"):
        library.export([entry.id], tmp_path / "other")


def test_a_full_disk_while_writing_the_row_keeps_the_picture(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    add(library, 1)

    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    monkeypatch.setattr(library.database, "write_many", lambda *_: _raise(error, library))
    with pytest.raises(StorageError, match="full") as caught:
        add(library, 2)
    assert str(library.root / "images") in caught.value.hint
    monkeypatch.undo()
    assert library.count() == 1
    assert len(library.reconcile().adopted) == 1
    assert library.count() == 2


def _raise(error: Exception, library: Library) -> None:
    with library.database._translated():
        raise error


def test_a_full_disk_while_writing_the_file_leaves_no_row(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    with pytest.raises(StorageError, match="full"):
        add(library)
    monkeypatch.undo()
    assert library.count() == 0
    assert [path for path in library.root.rglob("*") if path.suffix in (".png", ".tmp")] == []


def test_threads_share_a_library(library: Library) -> None:
    failures: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for k in range(start, start + 5):
                library.rate(add(library, k).id, 3)
                library.list(Query(text="fox"))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(10 * n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert library.count(Query(rating=3)) == 15


def _add_some(root: str, start: int) -> None:
    library = Library(Path(root))
    for k in range(start, start + 5):
        add(library, k)


def test_processes_share_a_library_even_in_its_making(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_some, args=(str(tmp_path / "home"), 10 * n)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    library = Library(tmp_path / "home")
    assert library.count() == 10
    assert library.missing() == []


def _add_until_killed(root: str, told: Connection) -> None:
    library = Library(Path(root))
    for k in range(10_000):
        told.send(add(library, k).id)


def test_killed_at_any_moment_nothing_told_is_lost_and_nothing_is_torn(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    told: set[str] = set()
    for pause in (0.0, 0.003, 0.011, 0.017):
        mine, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_add_until_killed, args=(str(tmp_path), theirs))
        worker.start()
        theirs.close()
        told.add(mine.recv())
        time.sleep(pause)
        worker.kill()
        worker.join()
        with contextlib.suppress(EOFError, OSError):
            while mine.poll():
                told.add(mine.recv())
    library = Library(tmp_path)
    assert library.reconcile().problems == ()
    entries = library.list(Query(limit=None))
    assert {entry.id for entry in entries} >= told
    for entry in entries:
        assert decode(entry.path).shape == (32, 48, 3)
        assert read(entry.path).record == entry.record


def test_a_damaged_database_says_so_and_a_new_one_adopts_the_pictures(library: Library) -> None:
    entries = [add(library, k) for k in range(3)]
    library.close()
    for name in ("limner.db-wal", "limner.db-shm"):
        (library.root / name).unlink(missing_ok=True)
    (library.root / "limner.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(LibraryError, match="damaged") as caught:
        library.list()
    assert "move it away" in caught.value.hint
    (library.root / "limner.db").rename(library.root / "old.db")
    assert library.list(Query(descending=False)) == entries


def test_a_database_in_use_says_so(tmp_path: Path) -> None:
    library = Library(tmp_path)
    add(library)
    library.close()
    library.database._busy_ms = 10
    other = sqlite3.connect(tmp_path / "limner.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LibraryError, match="in use") as caught:
        add(library, 2)
    assert str(tmp_path / "images") in caught.value.hint
    assert len(library.list()) == 1  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    assert len(library.reconcile().adopted) == 1


def test_a_newer_schema_is_refused(library: Library) -> None:
    add(library)
    library.close()
    with sqlite3.connect(library.root / "limner.db") as other:
        other.execute("PRAGMA user_version = 999")
    other.close()
    with pytest.raises(LibraryError, match="999") as caught:
        library.list()
    assert "update" in caught.value.hint


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        Library(tmp_path / "file").list()
    with pytest.raises(StorageError):
        add(Library(tmp_path / "file" / "deeper"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="writ"):
            Library(tmp_path / "home").list()
    finally:
        tmp_path.chmod(0o700)


def test_the_library_can_be_moved(library: Library, tmp_path: Path) -> None:
    entry = add(library)
    library.close()
    library.root.rename(tmp_path / "elsewhere")
    moved = Library(tmp_path / "elsewhere").get(entry.id)
    assert moved.path.is_file()
    assert moved.path.is_relative_to(tmp_path / "elsewhere")


def test_a_record_this_version_cannot_read_keeps_its_fields(library: Library) -> None:
    entry = add(library)
    library.database.write("""UPDATE pictures SET record = '{"schema": 99}'""")
    again = library.get(entry.id)
    assert again.record is None
    assert again.fields["prompt"] == "a red fox"


def test_encoded_files_are_kept_as_they_are(library: Library) -> None:
    image, made = pixels(), record()
    data = encode(image, made) + b"signed"
    assert library.add_encoded(data, made, "png", size=(48, 32)).path.read_bytes() == data


@pytest.mark.parametrize("descending", [True, False])
def test_pages_after_a_picture_hold_every_picture_once_though_new_ones_come(library: Library, descending: bool) -> None:
    names = [add(library, k).id for k in range(7)]
    expected = list(reversed(names)) if descending else names
    seen: list[str] = []
    after: tuple[str, str] | None = None
    while page := library.list(Query(limit=3, after=after, descending=descending)):
        seen += [each.id for each in page]
        after = (page[-1].created, page[-1].id)
        if descending:
            add(library, 100 + len(seen))
    assert seen == expected


def test_a_place_to_go_on_from_is_one_in_time(library: Library) -> None:
    with pytest.raises(InvalidRequest, match="sorted by age"):
        library.list(Query(sort="rating", after=("2026-01-01T00:00:00Z", "0" * 14)))
