"""Scores in the library: by scorer, revision and text; kept when an older library is brought up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from limner.library.database import NAME
from limner.library.entries import Query
from limner.library.migrations import scripts
from limner.library.store import Library
from limner.types import Score
from tests.faces import pictures

SCORE = Score(scorer="clip", revision="1", value=0.25, scale="cosine", domain="any")
BEFORE = 3  # migrations before scores knew texts


def test_a_score_comes_back_with_its_text_and_flags(tmp_path: Path) -> None:
    (name,) = pictures.fill(tmp_path, "a red fox")
    library = Library(tmp_path)
    of_text = SCORE.model_copy(update={"text": "sha256:0a", "flags": ("only 30 of 500 words were read", 'a "quote"')})
    library.add_scores([(name, SCORE), (name, of_text), (name, of_text.model_copy(update={"value": 0.5}))])
    assert list(library.scores(name)) == [SCORE, of_text.model_copy(update={"value": 0.5})]
    assert library.scorers() == ["clip"]


def test_scores_of_a_picture_that_is_gone_are_not_kept_and_harm_nothing(tmp_path: Path) -> None:
    first, second = pictures.fill(tmp_path, "a red fox", "a blue cat")
    library = Library(tmp_path)
    library.add_scores([(first, SCORE)])
    library.delete([first])
    library.add_scores([(first, SCORE), (second, SCORE)])
    assert [row["picture"] for row in library.database.query("SELECT picture FROM scores")] == [second]


def test_a_library_from_before_texts_keeps_its_scores(tmp_path: Path) -> None:
    (name,) = pictures.fill(tmp_path / "new", "a red fox")
    row = Library(tmp_path / "new").database.query("SELECT * FROM pictures")[0]
    old = tmp_path / "old"
    old.mkdir()
    with sqlite3.connect(old / NAME) as connection:
        for script in scripts()[:BEFORE]:
            connection.executescript(script)
        connection.execute(f"PRAGMA user_version = {BEFORE}")
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO pictures ({', '.join(row.keys())}) VALUES ({marks})", tuple(row))
        connection.execute("INSERT INTO scores VALUES (?, 'clip', '1', 0.25, 'cosine', 'any')", (name,))
    connection.close()
    library = Library(old)
    assert list(library.scores(name)) == [SCORE]
    assert [entry.id for entry in library.list(Query(sort="score", scorer="clip"))] == [name]
    library.add_scores([(name, SCORE.model_copy(update={"text": "sha256:0a"}))])
    assert len(library.scores(name)) == 2
    library.delete([name])  # the tie to pictures is still there
    assert library.database.query("SELECT * FROM scores") == []


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Library, list[str]]:
    """Three pictures: 0.1 and 0.9 against two texts; 0.5; and none."""
    ids = pictures.fill(tmp_path)
    library = Library(tmp_path)
    values = [(ids[0], "a", 0.1), (ids[0], "b", 0.9), (ids[1], "a", 0.5)]
    library.add_scores([(name, SCORE.model_copy(update={"text": text, "value": v})) for name, text, v in values])
    return library, ids


def test_of_several_scores_the_one_counts_that_the_order_is_about(scored: tuple[Library, list[str]]) -> None:
    library, ids = scored
    best = [entry.id for entry in library.list(Query(sort="score", scorer="clip"))]
    worst = [entry.id for entry in library.list(Query(sort="score", scorer="clip", descending=False))]
    assert best == [ids[0], ids[1], ids[2]]
    assert worst == [ids[0], ids[1], ids[2]]
    assert library.values("clip", ids) == {ids[0]: 0.9, ids[1]: 0.5}
    assert library.values("clip", ids, highest=False) == {ids[0]: 0.1, ids[1]: 0.5}
    assert library.values("other", ids) == {}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(at_least=(("clip", 0.5),)), {0, 1}),
        (Query(at_most=(("clip", 0.5),)), {0, 1}),
        (Query(at_least=(("clip", 0.6),)), {0}),
        (Query(at_most=(("clip", 0.05),)), set()),
        (Query(at_least=(("other", 0.0),)), set()),
        (Query(at_least=(("clip", 0.2),), text="cat"), {1}),
        (Query(at_least=(("clip", 0.2), ("clip", 0.8))), {0}),
    ],
)
def test_pictures_are_found_by_their_scores(scored: tuple[Library, list[str]], query: Query, found: set[int]) -> None:
    library, ids = scored
    assert {entry.id for entry in library.list(query)} == {ids[k] for k in found}
    assert library.count(query) == len(found)
