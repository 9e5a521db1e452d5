"""Prompt files drawn twice: only what is missing is drawn again."""

from __future__ import annotations

from pathlib import Path

from limner.library.store import Library
from tests.unit.library.making import pixels, record


def test_done_means_every_picture_is_still_there(tmp_path: Path) -> None:
    library = Library(tmp_path)
    entries = [library.add(pixels(k), record(seed=k)) for k in range(5)]
    names = [entry.id for entry in entries]
    library.run_mark("run", "line 1", names[:2])
    library.run_mark("run", "line 2", names[2:4])
    library.run_mark("run", "line 3", names[4:])
    library.run_mark("run", "line 4", ["0123456789abcd"])
    library.run_mark("run", "line 5", [])
    library.run_mark("other", "line 6", names[:1])
    assert library.run_done("run") == {"line 1", "line 2", "line 3"}
    entries[1].path.unlink()
    library.delete([names[2]])
    assert library.run_done("run") == {"line 3"}
    assert library.run_pictures("run", "line 1") == tuple(names[:2])


def test_marking_again_replaces(tmp_path: Path) -> None:
    library = Library(tmp_path)
    first, second = (library.add(pixels(k), record(seed=k)) for k in range(2))
    library.run_mark("run", "line", [first.id])
    library.run_mark("run", "line", [second.id])
    first.path.unlink()
    assert library.run_done("run") == {"line"}
    assert library.run_done("no such run") == set()
