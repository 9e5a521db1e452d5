"""Rows and files brought together again."""

from __future__ import annotations

import os
from pathlib import Path

from limner.library.store import Library
from tests.unit.library.making import pixels, record


def test_lost_found_adopted_and_unreadable(tmp_path: Path) -> None:
    library = Library(tmp_path)
    entries = [library.add(pixels(k), record(seed=k, image=pixels(k))) for k in range(3)]
    library.database.write("DELETE FROM pictures WHERE id = ?", (entries[0].id,))
    away = tmp_path / "away.png"
    entries[1].path.rename(away)
    (entries[0].path.parent / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    assert [entry.id for entry in library.missing()] == [entries[1].id]
    report = library.reconcile()
    assert report.adopted == (entries[0].id,)
    assert report.lost == (entries[1].id,)
    assert [problem.path.name for problem in report.problems] == ["torn.png"]
    assert library.get(entries[0].id) == entries[0]
    assert library.get(entries[1].id).lost
    assert len(library.list()) == 3

    away.rename(entries[1].path)
    again = library.reconcile()
    assert again.found == (entries[1].id,)
    assert again.adopted == again.lost == ()
    assert not library.get(entries[1].id).lost


def test_files_with_strange_names_get_an_id_of_their_own(tmp_path: Path) -> None:
    library = Library(tmp_path)
    entry = library.add(pixels(), record())
    copy = entry.path.parent / "Copy of it.png"
    copy.write_bytes(entry.path.read_bytes())
    (adopted,) = library.reconcile().adopted
    assert library.get(adopted).path == copy


def test_temporary_files_of_a_killed_process_go_after_an_hour(tmp_path: Path) -> None:
    library = Library(tmp_path)
    folder = library.add(pixels(), record()).path.parent
    old, young = folder / ".a.png.x.tmp", folder / ".b.png.x.tmp"
    old.touch()
    young.touch()
    os.utime(old, (1, 1))
    library.reconcile()
    assert not old.exists()
    assert young.exists()
