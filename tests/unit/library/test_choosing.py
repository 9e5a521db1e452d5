"""What a search box says: words, and terms that restrict; what it says is written back the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import InvalidRequest, UnknownName
from limner.library.choosing import Choice
from limner.library.moments import moment
from limner.library.store import Library
from limner.types import Score
from tests.unit.library.making import pixels, record


def better(_: str) -> bool:
    return True


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path)
    entry = library.add(pixels(), record())
    for scorer in ("pocket-clip", "worse-one"):
        library.score(entry.id, Score(scorer=scorer, revision="1", value=0.5, scale="x", domain="d"))
    return library


def test_words_and_terms() -> None:
    said = Choice.of("red rating:4 fox MODEL:sdxl score:pocket-clip>0.3 score:pocket-clip<=0.9 sort:rating since:7d")
    assert said == Choice(
        search="red fox",
        rating=4,
        model="sdxl",
        min_score=("pocket-clip:0.3",),
        max_score=("pocket-clip:0.9",),
        sort="rating",
        since="7d",
    )
    assert Choice.of('model:"my model" snow').model == "my model"
    assert Choice.of("score:>0.5").min_score == ("0.5",)
    assert Choice.of("date:2026-11") == Choice(since="2026-11", until="2026-11")


@pytest.mark.parametrize("text", ["(fox:1.2)", "http://example.org", "xmodel:sdxl", "model: sdxl", "ratio 4:3"])
def test_what_is_no_term_is_words(text: str) -> None:
    assert Choice.of(text) == Choice(search=text)


@pytest.mark.parametrize("text", ["rating:9", "rating:five", "seed:-1", "score:pocket-clip", "score:pocket-clip=3"])
def test_terms_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Choice.of(text)
    assert caught.value.hint


CHOICES = st.builds(
    Choice,
    search=st.none() | st.sampled_from(("fox", "red fox", "(fox:1.2)")),
    model=st.none() | st.sampled_from(("sdxl", "my own model")),
    rating=st.none() | st.integers(1, 5),
    since=st.none() | st.sampled_from(("7d", "2026-11")),
    until=st.none() | st.just("yesterday"),
    min_score=st.lists(st.sampled_from(("a-b:0.3", "0.25", "c.d:-1")), max_size=2).map(tuple),
    max_score=st.lists(st.sampled_from(("a-b:1e3",)), max_size=1).map(tuple),
    seed=st.none() | st.integers(0, 2**53),
    source=st.none() | st.just("a1111"),
    sort=st.none() | st.sampled_from(("oldest", "score:a-b")),
)


@given(CHOICES)
def test_what_is_said_is_written_back_the_same(choice: Choice) -> None:
    assert Choice.of(choice.text()) == choice


def test_options_come_before_terms() -> None:
    said = Choice(search="fox rating:4 model:sdxl", rating=2).read()
    assert said == Choice(search="fox", rating=2, model="sdxl")


def test_a_query_of_terms(library: Library) -> None:
    query = Choice.of("fox score:pocket-clip>0.3 seed:42 sort:worst:worse-one").query(library, better)
    assert (query.text, query.seed, query.at_least) == ("fox", 42, (("pocket-clip", 0.3),))
    assert (query.sort, query.scorer, query.descending) == ("score", "worse-one", False)
    assert Choice.of("").query(library, better).sort == "created"
    with pytest.raises(UnknownName, match="nobody"):
        Choice.of("score:nobody>1").query(library, better)
    with pytest.raises(InvalidRequest, match="which scorer"):
        Choice.of("score:>1").query(library, better)
    with pytest.raises(InvalidRequest, match="not a date"):
        Choice.of("since:never").query(library, better)
    with pytest.raises(InvalidRequest, match="order"):
        Choice.of("sort:size").query(library, better)


def test_a_month_is_from_its_first_moment_to_its_last() -> None:
    here = datetime(2026, 11, 22, tzinfo=UTC)

    def utc(year: int, month: int) -> str:
        return datetime(year, month, 1).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    assert moment("2026-11", "since", now=here) == utc(2026, 11)
    assert moment("2026-11", "until", end=True, now=here) == utc(2026, 12)
    assert moment("2026-12", "until", end=True, now=here) == utc(2027, 1)
    with pytest.raises(InvalidRequest):
        moment("2026-13", "since", now=here)
