"""Session.score: what is refused first, what is remembered, what one picture's error costs the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from limner import Session
from limner.config import Settings
from limner.engine.ticket import Ticket
from limner.errors import (
    InvalidRequest,
    LibraryError,
    LimnerError,
    ModelNotFound,
    NonFinite,
    PictureNotFound,
    ScorerOutOfDomain,
    UnknownName,
    UnreadablePicture,
)
from limner.session.scoring import CACHE
from limner.types import Plan
from tests import standins
from tests.standins import CALLS, coloured

T = TypeVar("T")
RED, BLUE, BLACK = coloured(200), coloured(0, blue=200), coloured(0, blue=0)


class Inline:
    """A backend that computes in the caller's thread."""

    def submit(self, plan: Plan, *, previews: bool = False) -> Ticket:
        raise NotImplementedError

    def compute(self, call: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    standins.register(monkeypatch)


def new_session(home: Path, *, keep: bool = True) -> Session:
    return Session(settings=Settings.load(home, {}), backend=Inline(), offline=True, keep=keep)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with new_session(tmp_path) as made:
        yield made


def test_scores_come_in_the_order_of_pictures_and_metrics(session: Session) -> None:
    found = session.score([RED, BLUE], ["a red fox", "sky"], ["redness", "greenness"])
    assert [[score.scorer for score in each] for each in found] == [["redness", "greenness"]] * 2
    assert found[0][0].value == pytest.approx(200 / 255 + 0.003)
    assert found[1][0].value == pytest.approx(0.001)
    assert found[0][0].text is not None
    assert found[0][1].text is None


def test_nothing_is_computed_twice(session: Session, tmp_path: Path) -> None:
    first = session.score([RED, BLUE, RED], "a fox", ["redness"])
    assert ("redness", 2) in CALLS  # the same pixels and words twice in one call
    CALLS.clear()
    with new_session(tmp_path) as other:
        assert other.score([RED, BLUE, RED], "a fox", ["redness"]) == first
    assert CALLS == []
    session.score([RED], "another fox", ["redness"])
    assert CALLS == [("redness", 1)]  # another text is another score, of the same embedding
