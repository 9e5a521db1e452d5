"""The cache: what is put is got, it is bounded, and what is damaged is said."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from limner.errors import LibraryError, StorageError
from limner.evaluate.cache import ScoreCache, ScoreKey
from limner.types import Score

SCORE = Score(
    scorer="redness", revision="1", value=0.1 + 0.2, scale="0..1", domain="any", text="sha256:0a", flags=("x",)
)
KEY = ScoreKey("sha256:01", "redness", "1", "sha256:0a")


@pytest.fixture(params=["file", "memory"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> ScoreCache:
    return ScoreCache(tmp_path / "cache.db" if request.param == "file" else None)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=5)))
def test_an_embedding_comes_back_bit_for_bit(array: np.ndarray) -> None:
    cache = ScoreCache(None)
    cache.put("a", array)
    found = cache.get("a")
    assert found is not None
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()
    found += 1  # its own copy
    again = cache.get("a")
    assert again is not None
    assert again.tobytes() == array.tobytes()
    cache.close()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_score_comes_back_to_the_last_bit(value: float) -> None:
    cache = ScoreCache(None)
    score = SCORE.model_copy(update={"value": value})
    cache.keep({KEY: score})
    assert cache.score(KEY) == score
    cache.close()


def test_every_part_of_the_key_counts(cache: ScoreCache) -> None:
    cache.keep({KEY: SCORE})
    for other in (
        KEY._replace(pixels="sha256:02"),
        KEY._replace(scorer="greenness"),
        KEY._replace(revision="2"),
        KEY._replace(text="sha256:0b"),
        KEY._replace(text=None),
    ):
        assert cache.score(other) is None
    assert cache.score(KEY) == SCORE
    assert cache.get("sha256:01") is None


def test_a_file_outlives_the_process_that_wrote_it(tmp_path: Path) -> None:
    first = ScoreCache(tmp_path / "deep" / "cache.db")
    first.put("a", np.arange(3, dtype=np.float32))
    first.keep({KEY: SCORE})
    first.close()
    second = ScoreCache(tmp_path / "deep" / "cache.db")
    found = second.get("a")
    assert found is not None
    assert found.tolist() == [0, 1, 2]
    assert second.score(KEY) == SCORE


def test_embeddings_are_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "cache.db", max_bytes=10 * 400)
    for k in range(200):
        cache.put(str(k), np.full(100, k, np.float32))
        assert cache.get(str(k)) is not None
    held = [k for k in range(200) if cache.get(str(k)) is not None]
    assert held == list(range(200 - len(held), 200))
    assert 8 <= len(held) <= 10
    cache.close()
    assert (tmp_path / "cache.db").stat().st_size < 200 * 400  # the room is used again


def test_scores_are_bounded_too() -> None:
    cache = ScoreCache(None, max_scores=20)
    for k in range(100):
        cache.keep({KEY._replace(pixels=str(k)): SCORE})
    held = [k for k in range(100) if cache.score(KEY._replace(pixels=str(k))) is not None]
    assert held == list(range(100 - len(held), 100))
    assert 18 <= len(held) <= 20


def test_replacing_embeddings_does_not_count_twice() -> None:
    cache = ScoreCache(None, max_bytes=1000)
    for _ in range(100):
        cache.put("a", np.zeros(100, np.float32))
        cache.put("b", np.zeros(100, np.float32))
    assert cache.get("a") is not None
    assert cache.get("b") is not None


def test_threads_share_it(cache: ScoreCache) -> None:
    def work(name: str) -> None:
        for k in range(50):
            cache.put(f"{name}{k}", np.full(4, k, np.float32))
            found = cache.get(f"{name}{k}")
            assert found is not None
            assert found[0] == k

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(cache.get(f"{name}{k}") is not None for name in "abc" for k in range(50))


@pytest.mark.parametrize(
    "damage", ["UPDATE embeddings SET data = zeroblob(length(data))", "UPDATE embeddings SET shape = '[9]'"]
)
def test_an_embedding_that_changed_on_the_disk_is_told_not_used(tmp_path: Path, damage: str) -> None:
    cache = ScoreCache(tmp_path / "cache.db")
    cache.put("a", np.ones(3, np.float32))
    cache.close()
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        connection.execute(damage)
    connection.close()
    with pytest.raises(LibraryError, match="damaged") as said:
        cache.get("a")
    assert "delete that file" in said.value.hint


@pytest.mark.parametrize(
    "body", ["{", '{"scorer": "redness"}', SCORE.model_dump_json().replace("0.30000000000000004", "null")]
)
def test_a_score_that_changed_on_the_disk_is_told_not_used(tmp_path: Path, body: str) -> None:
    cache = ScoreCache(tmp_path / "cache.db")
    cache.keep({KEY: SCORE})
    cache.close()
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        connection.execute("UPDATE scores SET score = ?", (body,))
    connection.close()
    with pytest.raises(LibraryError, match="damaged"):
        cache.score(KEY)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="cannot be written"):
        ScoreCache(tmp_path / "taken" / "cache.db").get("a")
