"""Session.score: what is refused first, what is remembered, what one picture's error costs the others."""

from __future__ import annotations

import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from limner import Session, registry
from limner.config import Settings
from limner.engine.ticket import Ticket
from limner.errors import (
    InvalidRequest,
    LibraryError,
    LimnerError,
    ModelNotFound,
    NonFinite,
    OutOfMemory,
    PictureNotFound,
    ScorerOutOfDomain,
    UnknownName,
    UnreadablePicture,
)
from limner.image import Image
from limner.session.scoring import BATCH, CACHE, Failures
from limner.session.scoring_domain import UNKNOWN_ORIGIN
from limner.session.scoring_subjects import Scorable
from limner.types import Plan
from tests import standins
from tests.faces import pictures
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
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_one_embedding_serves_all_metrics_of_a_backbone(session: Session) -> None:
    session.score([RED], "a fox", ["redness"])
    session.score([RED], "another fox", ["redness"])
    assert CALLS.count(("eyes", 1)) == 1


def test_an_error_of_one_picture_leaves_the_others(session: Session) -> None:
    failures: Failures = {}
    found = session.score([RED, BLACK, BLUE], "a fox", ["redness", "greenness"], failures=failures)
    assert [[score.scorer for score in each] for each in found] == [
        ["redness", "greenness"],
        ["greenness"],
        ["redness", "greenness"],
    ]
    assert list(failures) == [(1, "redness")]
    assert isinstance(failures[1, "redness"], NonFinite)
    assert "picture 2" in failures[1, "redness"].message


def test_without_a_place_for_failures_the_first_is_raised_when_all_others_are_kept(session: Session) -> None:
    with pytest.raises(NonFinite, match="picture 2"):
        session.score([RED, BLACK, BLUE], "a fox", ["redness"])
    CALLS.clear()
    assert len(session.score([RED, BLUE], "a fox", ["redness"])) == 2
    assert CALLS == []


def test_a_text_over_the_limit_is_refused_and_others_scored(session: Session) -> None:
    failures: Failures = {}
    long = "a fox " * 250
    found = session.score([RED, BLUE], ["a fox", long], ["redness"], failures=failures)
    assert [len(each) for each in found] == [1, 0]
    assert "500 tokens" in failures[1, "redness"].message


def test_more_pictures_than_a_batch_come_in_order_and_progress_is_told(session: Session) -> None:
    told: list[int] = []
    shown = [coloured(k) for k in range(1, 2 * BATCH + 2)]
    found = session.score(shown, "", ["greenness"], progress=told.append)
    assert len(found) == len(shown)
    assert told == [BATCH, 2 * BATCH, 2 * BATCH + 1]
    assert [score.value for (score,) in session.score(shown, "x", ["redness"])] == sorted(
        score.value for (score,) in session.score(shown, "x", ["redness"])
    )


def test_a_scorer_of_one_world_refuses_others_before_any_work(session: Session, tmp_path: Path) -> None:
    shown = pictures.pixels()
    ours, theirs = (Image(shown, pictures.record(shown, model=name)) for name in ("pocket", "sd15"))
    assert session.score([ours], "a fox", ["emoji-judge"])[0][0].flags == ()
    CALLS.clear()
    for force in (False, True):
        with pytest.raises(ScorerOutOfDomain, match="picture 2 is of photographs and art by sd15"):
            session.score([ours, theirs], "a fox", ["redness", "emoji-judge"], force=force)
    assert CALLS == []


def test_a_picture_of_unknown_origin_is_scored_by_force_and_flagged_each_time(session: Session) -> None:
    with pytest.raises(ScorerOutOfDomain, match="picture 1 is of unknown origin") as refused:
        session.score([RED], "a fox", ["emoji-judge"])
    assert "--force" in refused.value.hint
    for _ in range(2):  # computed, then remembered
        ((score,),) = session.score([RED], "a fox", ["emoji-judge"], force=True)
        assert score.flags == (UNKNOWN_ORIGIN,)


def test_the_refusal_names_the_right_scorer_and_its_download(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILT_IN["metrics"], "clip-b32", "tests.standins:Absent")
    monkeypatch.setitem(registry.BUILT_IN["metrics"], "clip-l14", "tests.standins:Absent")
    with pytest.raises(ScorerOutOfDomain) as refused:
        session.score([RED], "a fox", ["emoji-judge"])
    assert "absent judges pictures of any kind; it is fetched by: limner metrics pull absent" in refused.value.hint


def test_weights_that_are_not_here_are_missed_before_any_work(session: Session) -> None:
    with pytest.raises(ModelNotFound) as refused:
        session.score([RED], "a fox", ["redness", "absent"])
    assert "limner metrics pull absent" in refused.value.hint
    assert CALLS == []


def test_scores_of_kept_pictures_are_in_the_library_and_outlive_the_cache(session: Session, tmp_path: Path) -> None:
    (name,) = pictures.fill(session.settings.library_root, "a red fox")
    path = session.library.get(name).path
    by_id = session.score([name], "a red fox", ["redness"])
    assert session.score([path], "a red fox", ["redness"]) == by_id
    assert list(session.library.scores(name)) == by_id[0]
    session.score([name], "a fox", ["redness"])
    assert len(session.library.scores(name)) == 2  # one a text
    session.scoring.cache.close()
    (session.settings.library_root / CACHE).unlink()
    assert len(session.library.scores(name)) == 2


def test_a_session_that_keeps_nothing_writes_nothing(tmp_path: Path) -> None:
    (name,) = pictures.fill(tmp_path / "library", "a red fox")
    with new_session(tmp_path, keep=False) as session:
        before = sorted(tmp_path.rglob("*"))
        first = session.score([name, RED], "a red fox", ["redness"])
        CALLS.clear()
        assert session.score([name, RED], "a red fox", ["redness"]) == first
        assert CALLS == []  # remembered all the same, in memory
        assert session.library.scores(name) == ()
        assert [path for path in sorted(tmp_path.rglob("*")) if not path.name.endswith(("-wal", "-shm"))] == before


@pytest.mark.parametrize(
    ("images", "texts", "metrics", "error", "said"),
    [
        ([np.zeros((8, 8), np.uint8)], "a fox", ["redness"], InvalidRequest, "picture 1 is no picture: 8x8 uint8"),
        ([RED, RED / 255], "a fox", ["redness"], InvalidRequest, "picture 2 is no picture: 8x8x3 float64"),
        ([RED, BLUE], ["a fox"], ["redness"], InvalidRequest, "1 for 2 pictures"),
        ([RED, BLUE], ["a fox", " "], ["redness"], InvalidRequest, "picture 2 has none"),
        ([RED], "a fox", [], InvalidRequest, "none is named"),
        ([RED], "a fox", ["rednes"], UnknownName, "rednes"),
        ([RED], "a fox", ["spread"], InvalidRequest, "several pictures at once"),
        (["nowhere.png"], "a fox", ["redness"], PictureNotFound, "nowhere.png"),
        ("last", "a fox", ["redness"], InvalidRequest, "list"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(
    session: Session, images: list[Scorable], texts: str, metrics: list[str], error: type[LimnerError], said: str
) -> None:
    with pytest.raises(error, match=said):
        session.score(images, texts, metrics)
    assert CALLS == []


def test_a_file_that_is_no_picture_is_refused_and_one_cut_short_costs_itself_alone(
    session: Session, tmp_path: Path
) -> None:
    (tmp_path / "note.png").write_text("no picture")
    with pytest.raises(UnreadablePicture, match=r"note\.png"):
        session.score([tmp_path / "note.png"], "a fox", ["redness"])
    whole = pictures.a1111(tmp_path / "whole.png")
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[:-200])
    failures: Failures = {}
    found = session.score([cut, whole], "a fox", ["redness"], failures=failures)
    assert [len(each) for each in found] == [0, 1]
    assert isinstance(failures[0, "redness"], UnreadablePicture)
    failures.clear()
    found = session.score([tmp_path / "note.png", whole], "a fox", ["redness"], failures=failures)
    assert [len(each) for each in found] == [0, 1]
    assert isinstance(failures[0, "redness"], UnreadablePicture)


def test_a_damaged_cache_is_said_with_what_to_delete(session: Session, tmp_path: Path) -> None:
    path = session.settings.library_root / CACHE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(LibraryError, match="damaged") as refused:
        session.score([RED], "a fox", ["redness"])
    assert "delete that file" in refused.value.hint
    path.unlink()
    assert session.score([RED], "a fox", ["redness"])[0]


def test_sets_are_measured_once_and_reference_and_order_count(session: Session) -> None:
    score = session.measure([RED, BLUE], "spread")
    assert session.measure([RED, BLUE], "spread") == score
    assert CALLS == [("spread", 2)]
    session.measure([RED, BLUE], "spread", reference=[BLACK])
    assert len(CALLS) == 2
    with pytest.raises(InvalidRequest, match="two pictures"):
        session.measure([RED], "spread")
    with pytest.raises(InvalidRequest, match="one by one"):
        session.measure([RED, BLUE], "redness")


def test_where_memory_does_not_suffice_the_scorers_of_earlier_calls_are_let_go(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.score([RED], "a fox", ["redness"])
    earlier = weakref.ref(session.scoring.metric("redness"))
    score = standins.Greenness.score

    def hungry(self: standins.Greenness, *asked: object) -> object:
        if earlier() is not None:
            raise OutOfMemory("does not fit")
        return score(self, *asked)  # type: ignore[arg-type]

    monkeypatch.setattr(standins.Greenness, "score", hungry)
    assert session.score([RED], "a fox", ["greenness"])[0][0].scorer == "greenness"
    again = session.score([BLUE], "a fox", ["redness"])  # made anew
    assert again[0][0].scorer == "redness"


def test_scorers_of_one_call_that_do_not_fit_together_are_out_of_memory(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starve(self: object, *asked: object) -> None:
        raise OutOfMemory("does not fit")

    monkeypatch.setattr(standins.Greenness, "score", starve)
    with pytest.raises(OutOfMemory):
        session.score([RED], "a fox", ["redness", "greenness"])


def test_a_thousand_pictures_leave_memory_as_it_was(session: Session, tmp_path: Path) -> None:
    """Pictures are decoded when their turn comes and let go: 1,000 of 30 kB each would be 30 MB."""
    from PIL import Image as PillowImage

    paths = []
    for k in range(1000):
        path = tmp_path / f"{k}.png"
        PillowImage.fromarray(coloured(k % 255 + 1, k // 255, side=100)).save(path)
        paths.append(path)
    peaks: list[int] = []

    def watch(done: int) -> None:
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()

    tracemalloc.start()
    try:
        found = session.score(paths, "a fox", ["redness", "greenness"], progress=watch)
    finally:
        tracemalloc.stop()
    assert all(len(each) == 2 for each in found)
    assert max(peaks) < 10e6
    assert peaks[-1] - peaks[len(peaks) // 10] < 4e6  # the answers themselves: 2,000 Scores
