"""Importing folders: resumable, tolerant, and believing nothing it can check."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner.errors import LimnerError, PictureNotFound
from limner.library import imports
from limner.library.entries import Query
from limner.library.files import encode, pixel_hash
from limner.library.imports import ImportReport
from limner.library.store import Library
from limner.types import Score
from tests.unit.library.making import pixels, record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs"
    (folder / "sub").mkdir(parents=True)
    for k in range(4):
        chunks = PngInfo()
        chunks.add_text("parameters", f"cat {k}\nSteps: 5, Sampler: Euler, Seed: {k}, Size: 48x32, Model: m")
        Image.fromarray(pixels(k)).save(folder / "sub" / f"{k}.png", pnginfo=chunks)
    Image.fromarray(pixels(9)).save(folder / "plain.jpg")
    (folder / "ours.webp").write_bytes(encode(pixels(10), record("dog", image=pixels(10)), "webp", quality=100))
    (folder / "torn.png").write_bytes((folder / "sub" / "0.png").read_bytes()[:200])
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "home")


def test_pictures_are_taken_up_where_they_lie(library: Library, folder: Path) -> None:
    seen: list[ImportReport] = []
    report = library.import_folder(folder, on_progress=seen.append)
    assert (report.total, report.added, report.known, report.duplicates) == (7, 6, 0, 0)
    assert dict(report.sources) == {"a1111": 4, "limner": 1, "none": 1}
    assert [problem.path.name for problem in report.problems] == ["torn.png"]
    assert seen[-1] == report
    assert report.done == report.total
    (cat,) = library.list(Query(text="cat", seed=2))
    assert cat.path == folder / "sub" / "2.png"
    assert (cat.source, cat.model, cat.record, cat.fields["steps"]) == ("a1111", "m", None, 5)
    (dog,) = library.list(Query(text="dog"))
    assert dog.record == record("dog", image=pixels(10))
    assert dog.image_key == dog.record.image_key


def test_a_second_import_opens_nothing(library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library.import_folder(folder)
    monkeypatch.setattr(imports, "read_entry", lambda *_, **__: pytest.fail("opened a file it knew"))
    report = library.import_folder(folder)
    assert (report.added, report.known, len(report.problems)) == (0, 6, 1)


def test_an_import_that_was_killed_goes_on(library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "BATCH", 2)

    def stop(report: ImportReport) -> None:
        if report.added >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.import_folder(folder, on_progress=stop)
    before = library.count()
    assert 0 < before < 6
    report = library.import_folder(folder)
    assert report.known == before
    assert library.count() == 6


def test_changed_files_are_read_again_and_copies_taken_once(library: Library, folder: Path) -> None:
    library.import_folder(folder)
    (folder / "torn.png").write_bytes((folder / "sub" / "0.png").read_bytes())
    (folder / "new.png").write_bytes(encode(pixels(11), record("new", image=pixels(11))))
    report = library.import_folder(folder)
    assert (report.added, report.duplicates, report.known, report.problems) == (1, 1, 6, ())


def test_a_file_edited_in_place_is_read_anew(library: Library, folder: Path) -> None:
    library.import_folder(folder)
    path = folder / "sub" / "0.png"
    before = library.get(str(path))
    library.rate(before.id, 4)
    library.score(before.id, Score(scorer="s", revision="1", value=1, scale="0-1", domain="any"))
    chunks = PngInfo()
    chunks.add_text("parameters", "a wolf\nSteps: 6, Sampler: Euler, Seed: 77, Size: 48x32, Model: other")
    Image.fromarray(pixels(50)).save(path, pnginfo=chunks)
    os.utime(folder / "sub" / "1.png", (1, 1))  # touched, and the same
    report = library.import_folder(folder)
    assert (report.added, report.updated, report.known, report.duplicates) == (0, 1, 5, 0)
    assert report.done == report.total
    (after,) = library.list(Query(text="wolf"))
    assert (after.id, after.rating, after.seed, after.model) == (before.id, 4, 77, "other")
    assert after.pixel_hash == pixel_hash(pixels(50))
    assert library.scores(after.id) == ()
    assert library.list(Query(text='"cat 0"')) == []
    assert library.import_folder(folder).updated == 0


def test_deleting_leaves_files_outside_the_library_alone_and_is_not_undone(library: Library, folder: Path) -> None:
    library.import_folder(folder)
    library.delete([entry.id for entry in library.list(Query(text="cat"))])
    assert (folder / "sub" / "0.png").is_file()
    assert library.import_folder(folder).added == 0


def test_copies_live_in_the_library(library: Library, folder: Path) -> None:
    library.import_folder(folder, copy=True)
    for entry in library.list():
        assert entry.path.is_relative_to(library.root / "images")
    assert library.missing() == []
    assert library.reconcile().adopted == ()


def test_a_record_that_lies_about_its_pixels_is_no_cache_entry(library: Library, folder: Path) -> None:
    lie = record("lie", seed=5, image=pixels(1))
    (folder / "lie.png").write_bytes(encode(pixels(2), lie))
    library.import_folder(folder)
    assert len(library.list(Query(text="lie"))) == 1
    assert library.find_by_key(lie.image_key) is None


@pytest.mark.skipif(os.name == "nt", reason="POSIX names")
def test_names_that_are_not_utf8_and_hidden_folders(library: Library, folder: Path) -> None:
    data = (folder / "plain.jpg").read_bytes()
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff.jpg")).write_bytes(data)
    except OSError:
        pytest.skip("this file system wants UTF-8")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.jpg").write_bytes(data)
    report = library.import_folder(folder)
    assert {problem.message for problem in report.problems} >= {"the file's name is not UTF-8"}
    assert report.total == 8


def test_a_folder_that_is_not_there(library: Library, tmp_path: Path) -> None:
    with pytest.raises(PictureNotFound):
        library.import_folder(tmp_path / "absent")


def test_markup_in_words_and_names_stays_text(library: Library, folder: Path) -> None:
    words = "<script>alert(1)</script>' OR 1=1; DROP TABLE pictures; --"
    chunks = PngInfo()
    chunks.add_text("parameters", f"{words}\nSteps: 5, Sampler: Euler, Seed: 99999999999999999999999, Size: 48x32")
    Image.fromarray(pixels(12)).save(folder / "<img src=x>.png", pnginfo=chunks)
    library.import_folder(folder)
    (entry,) = library.list(Query(text="DROP TABLE"))
    assert entry.prompt == words
    assert entry.seed is None


def test_every_error_is_one_of_ours(library: Library, tmp_path: Path) -> None:
    (tmp_path / "file.png").write_bytes(b"x")
    with pytest.raises(LimnerError):
        library.import_folder(tmp_path / "file.png")


def test_a_lossy_copy_of_a_picture_is_that_picture(library: Library, tmp_path: Path) -> None:
    made = record("cat", image=pixels(3))
    library.add(pixels(3), made)
    copies = tmp_path / "copies"
    copies.mkdir()
    for name, format in (("cat-1.jpg", "jpeg"), ("cat-2.webp", "webp")):
        (copies / name).write_bytes(encode(pixels(3), made, format, quality=80))  # type: ignore[arg-type]
    other = record("cat", seed=5, image=pixels(4))
    (copies / "other.jpg").write_bytes(encode(pixels(4), other, "jpeg"))
    (copies / "cut.jpg").write_bytes(encode(pixels(3)[:16], made, "jpeg"))  # the Record is of a larger picture
    report = library.import_folder(copies)
    assert (report.duplicates, report.added) == (2, 2)
