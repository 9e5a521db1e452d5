"""Prompt files drawn twice: only the pictures that are missing are drawn again."""

from __future__ import annotations

from pathlib import Path

from limner.library.runs import RunItem
from limner.library.store import Library
from tests.unit.library.making import pixels, record


def test_done_means_every_picture_is_still_there(tmp_path: Path) -> None:
    library = Library(tmp_path)
    entries = [library.add(pixels(k), record(seed=k)) for k in range(5)]
    names = [entry.id for entry in entries]
    library.run_start("run", "line 1", 0, names[:2])
    library.run_start("run", "line 2", 0, names[2:4])
    library.run_start("run", "line 3", 0, names[4:])
    library.run_start("run", "line 4", 0, ["0123456789abcd"])
    library.run_start("run", "line 5", 0, [])
    library.run_start("run", "line 6", 0, [names[4], None])
    library.run_start("other", "line 7", 0, names[:1])
    assert library.run_done("run") == {"line 1", "line 2", "line 3"}
    entries[1].path.unlink()
    library.delete([names[2]])
    assert library.run_done("run") == {"line 3"}
    assert library.run_item("run", "line 1") == RunItem(0, (names[0], None))
    assert library.run_item("run", "line 2") == RunItem(0, (None, names[3]))


def test_pictures_are_added_one_by_one(tmp_path: Path) -> None:
    library = Library(tmp_path)
    first, second = (library.add(pixels(k), record(seed=k)).id for k in range(2))
    assert library.run_item("run", "line") is None
    library.run_start("run", "line", 2**53 - 1, [None, None])
    library.run_add("run", "line", 1, second)
    assert library.run_item("run", "line") == RunItem(2**53 - 1, (None, second))
    assert library.run_done("run") == set()
    library.run_add("run", "line", 0, first)
    assert library.run_done("run") == {"line"}
    library.run_start("run", "line", 4, [None])
    assert library.run_done("run") == set()
    assert library.run_done("no such run") == set()


def test_lines_marked_before_seeds_were_kept(tmp_path: Path) -> None:
    library = Library(tmp_path)
    name = library.add(pixels(0), record(seed=0)).id
    library.database.write("INSERT INTO runs (run, item, images) VALUES ('run', 'line', ?)", (f'["{name}"]',))
    assert library.run_done("run") == {"line"}
    assert library.run_item("run", "line") == RunItem(None, (name,))
