"""New pictures are scored as they are kept: by whom, against what, and what becomes of errors. Draws with pocket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limner import Request, Session, registry
from limner.config import Settings
from limner.errors import ConfigError
from limner.evaluate.words import text_hash
from limner.types import Done, Event, Made, Warned
from tests import standins
from tests.standins import CALLS

FOX = Request(prompt="a (red:1.2) fox", seed=1, steps=2, width=32, height=32)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    standins.register(monkeypatch)
    monkeypatch.setitem(registry.BUILT_IN["metrics"], "pocket-clip", "tests.standins:EmojiJudge")


def settings(home: Path, default: str | None) -> Settings:
    if default is not None:
        (home / "config.toml").write_text(f'[score]\ndefault = "{default}"\n')
    return Settings.load(home, {})


@pytest.fixture(params=[None])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    """With ``[score] default`` as the test's parameter says."""
    with Session(settings=settings(tmp_path, request.param), offline=True) as made:
        yield made


def drawn(session: Session, asked: Request = FOX) -> tuple[list[Event], list[str]]:
    """The events, and the ids of the pictures."""
    events = list(session.generate(asked))
    return events, [str(event.image.id) for event in events if isinstance(event, Made)]


def test_pocket_pictures_are_scored_by_their_own_scorer_against_their_words(session: Session) -> None:
    _, (first, second) = drawn(session, FOX.but(n=2))
    for name in (first, second):
        (score,) = session.library.scores(name)
        assert score.scorer == "emoji-judge"
        assert score.text == text_hash("a red fox")
        assert score.flags == ()


@pytest.mark.parametrize("session", ["greenness, redness"], indirect=True)
def test_the_settings_choose_the_scorers(session: Session) -> None:
    _, (name,) = drawn(session)
    assert [score.scorer for score in session.library.scores(name)] == ["greenness", "redness"]


@pytest.mark.parametrize("session", ["none"], indirect=True)
def test_none_means_none(session: Session) -> None:
    _, (name,) = drawn(session)
    assert session.library.scores(name) == ()
    assert CALLS == []


def test_a_session_may_leave_them_unscored(tmp_path: Path) -> None:
    with Session(settings=settings(tmp_path, "redness"), offline=True, scored=False) as session:
        _, (name,) = drawn(session)
        assert session.library.scores(name) == ()
    with Session(settings=settings(tmp_path, "redness"), offline=True, keep=False) as session:
        drawn(session)
    assert CALLS == []


@pytest.mark.parametrize("session", ["redness, greenness"], indirect=True)
def test_a_picture_that_cannot_be_scored_is_kept_and_told(session: Session) -> None:
    events, (name,) = drawn(session, FOX.but(prompt="one two three four five six seven"))
    assert isinstance(events[-1], Done)
    told = [event.notice for event in events if isinstance(event, Warned) and event.notice.code == "not-scored"]
    assert [notice.message for notice in told] == [f"{name} has no score: text: 7 tokens; redness reads 6"]
    assert [score.scorer for score in session.library.scores(name)] == ["greenness"]


@pytest.mark.parametrize(
    ("session", "words"),
    [
        ("spread", "of several pictures at once"),
        ("rednes", "there is no metric 'rednes'"),
        ("absent", "the weights of absent are not here"),
    ],
    indirect=["session"],
)
def test_scorers_that_are_not_to_be_had_are_said_before_anything_is_drawn(session: Session, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        session.generate(FOX)
    assert "config.toml:2" in refused.value.message


def test_the_built_in_scorer_is_left_out_quietly_where_it_is_not_here(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.BUILT_IN["metrics"], "pocket-clip", "tests.standins:Absent")
    events, (name,) = drawn(session)
    assert session.library.scores(name) == ()
    assert "not-scored" not in {event.notice.code for event in events if isinstance(event, Warned)}
