"""A refinement on painted pictures: found, kept, stopped, killed, gone on with, voted on; and what is refused first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import limner
from limner.config import Settings
from limner.errors import Cancelled, EvidenceError, InvalidRequest, LibraryError, NotIndependent, ScorerOutOfDomain
from limner.image import Image
from limner.refine.design import Budget
from limner.refine.journal import Journal
from limner.refine.preparing import Wishes
from limner.refine.refinement import Refinement
from limner.refine.refining import Faces, begin, refine, resume
from limner.session import Session
from limner.types import Request
from tests.unit.refine.painting import Painter
from tests.unit.refine.refine_world import BROKEN, FOREIGN, JUDGE, SEARCHER, SISTER, register

WORDS = "a fox in the snow"


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    register(monkeypatch)
    return Painter()


@pytest.fixture
def session(painter: Painter) -> Iterator[Session]:
    with Session(settings=Settings.load(), backend=painter, scored=False) as own:
        yield own


def wishes(budget: int = 20, **more: object) -> Wishes:
    said: dict[str, object] = {"strategies": ("redder",), "search": (SEARCHER,), "judges": (JUDGE,)}
    return Wishes(Budget(images=budget), **(said | more))  # type: ignore[arg-type]


def found(session: Session, **more: object) -> Refinement:
    return begin(Request(prompt=WORDS), session, wishes(**more), Faces()).run()  # type: ignore[arg-type]


def test_a_better_prompt_is_found_and_proven(session: Session, painter: Painter) -> None:
    refinement = found(session)
    assert refinement.outcome == "better"
    assert refinement.verified
    assert refinement.request.prompt.startswith("red ")
    assert refinement.verdict is not None
    assert [each.field for each in refinement.verdict.differing] == ["prompt"]
    assert refinement.spent.pictures <= 20
    assert refinement.spent.drawn == len(painter.painted) == refinement.spent.pictures
    assert len(refinement.best) == 4
    assert {session.library.get(name).prompt for name in refinement.best} == {refinement.request.prompt}


def test_the_whole_result_is_json_that_reads_back(session: Session) -> None:
    refinement = found(session)
    assert Refinement.model_validate_json(refinement.model_dump_json()) == refinement


def test_every_picture_is_scored_against_the_users_own_words(session: Session) -> None:
    asked: list[str] = []

    def score(images, texts, metrics, **more):  # type: ignore[no-untyped-def]
        asked.extend(texts)
        return session.score(images, texts, metrics, **more)

    begin(Request(prompt=WORDS), session, wishes(), Faces(score=score)).run()
    assert set(asked) == {WORDS}


def test_paraphrase_is_among_the_candidates_though_nobody_named_it(session: Session) -> None:
    assert {each.strategy for each in found(session).candidates} == {"paraphrase", "redder"}


def test_nothing_is_drawn_or_scored_twice(session: Session, painter: Painter) -> None:
    found(session)
    assert len(painter.painted) == len(set(painter.painted))
    before = len(painter.painted)
    again = found(session)
    assert len(painter.painted) == before
    assert again.spent.drawn == 0
    assert again.verdicts == found(session).verdicts


@pytest.mark.parametrize("after", [0, 3, 9])
def test_ctrl_c_gives_the_best_so_far_and_it_can_be_gone_on_with(
    after: int, session: Session, painter: Painter
) -> None:
    painter.stop_after = after
    stopped = found(session)
    assert stopped.outcome == "stopped"
    assert not stopped.verified
    assert "not verified" in stopped.sentence
    painter.stop_after = None
    whole = resume(session, stopped.id).run()
    assert whole.outcome == "better"
    assert len(painter.painted) == len(set(painter.painted)) == whole.spent.pictures


def test_a_killed_run_is_gone_on_with_from_a_torn_journal(session: Session, painter: Painter) -> None:
    whole = found(session)
    (path,) = (session.settings.library_root / "refinements").glob("*.jsonl")
    lines = path.read_text("utf-8").splitlines(keepends=True)
    for kept in (1, len(lines) // 2, len(lines) - 1):
        path.write_text("".join(lines[:kept]) + lines[kept][: len(lines[kept]) // 2], "utf-8")
        again = resume(session).run()
        assert again.verdicts == whole.verdicts
        assert again.winner == whole.winner
        assert any("torn" in notice for notice in again.notices)
    assert len(painter.painted) == len(set(painter.painted))


def test_a_finished_run_is_shown_again_and_not_repeated(session: Session, painter: Painter) -> None:
    whole = found(session)
    before = len(painter.painted)
    assert resume(session, whole.id).run() == whole
    assert len(painter.painted) == before
    with pytest.raises(InvalidRequest, match="no refinement to go on with"):
        resume(session)
    with pytest.raises(InvalidRequest, match="no refinement 'nonsense'"):
        resume(session, "nonsense")


def test_a_run_is_not_gone_on_with_under_other_settings(
    session: Session, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter.stop_after = 3
    stopped = found(session)
    monkeypatch.setenv("LIMNER_STEPS", "3")
    with (
        Session(settings=Settings.load(), backend=painter, scored=False) as other,
        pytest.raises(InvalidRequest, match="not those that this refinement was begun with"),
    ):
        resume(other, stopped.id).run()
    assert len(painter.painted) == 3


def test_a_seed_of_ones_own_is_where_the_search_begins(session: Session) -> None:
    refining = begin(Request(prompt=WORDS, seed=70), session, wishes())
    assert refining.design.search_seeds == (70, 71)
    with pytest.raises(InvalidRequest, match="no room"):
        begin(Request(prompt=WORDS, seed=2**53 - 5), session, wishes())


def test_a_journal_damaged_in_its_middle_is_told(session: Session) -> None:
    found(session)
    (path,) = (session.settings.library_root / "refinements").glob("*.jsonl")
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text(lines[0] + "{broken\n" + "".join(lines[1:]), "utf-8")
    with pytest.raises(LibraryError, match="damaged"):
        resume(session, path.stem)


def test_the_design_is_stored_before_the_first_picture(session: Session, painter: Painter) -> None:
    refining = begin(Request(prompt=WORDS), session, wishes())
    assert refining.journal.path is not None
    first = json.loads(refining.journal.path.read_text("utf-8"))
    assert first["kind"] == "design"
    assert first["design"]["judges"] == [JUDGE]
    assert first["design"]["pairs"] == refining.design.pairs
    assert not painter.painted


def test_without_a_library_nothing_is_written(painter: Painter, own_home: Path) -> None:
    with Session(settings=Settings.load(), backend=painter, keep=False, scored=False) as session:
        assert found(session).outcome == "better"
    assert len(painter.painted) == len(set(painter.painted))
    assert not list(own_home.rglob("*.jsonl"))


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"budget": 19}, InvalidRequest, "too small for a verdict"),
        ({"judges": (SEARCHER,)}, NotIndependent, "both search scorer and judge"),
        ({"judges": (SEARCHER,), "force": True}, NotIndependent, "both search scorer and judge"),
        ({"judges": (SISTER,)}, NotIndependent, "share left eye"),
        ({"judges": (FOREIGN,)}, ScorerOutOfDomain, "other pictures"),
        ({"judges": ("nobody",)}, InvalidRequest, "nobody"),
        ({"margin": 0.0}, InvalidRequest, "margin"),
        ({"diversity_margin": float("nan")}, InvalidRequest, "margin"),
        ({"strategies": ("opt2i",)}, InvalidRequest, "language model"),
        ({"llm": "http://localhost:1/v1"}, InvalidRequest, "no strategy asks"),
    ],
)
def test_refused_before_the_first_picture(
    more: dict[str, object], error: type[Exception], words: str, session: Session, painter: Painter
) -> None:
    with pytest.raises(error, match=words):
        found(session, **more)
    assert not painter.painted


def test_a_dependent_judge_that_is_forced_caps_the_verdict(session: Session) -> None:
    refinement = found(session, judges=(SISTER,), force=True)
    assert refinement.verdict is not None
    assert refinement.verdict.strength == "indicative"
    assert "share left eye" in refinement.sentence


def test_identical_prompts_are_told_and_the_others_tried(session: Session) -> None:
    refinement = found(session, strategies=("same",))
    assert {each.strategy for each in refinement.candidates} == {"paraphrase"}
    assert any("very same pictures" in notice for notice in refinement.notices)


def test_search_scorers_without_values_stop_it_and_nothing_is_lost(session: Session, painter: Painter) -> None:
    with pytest.raises(EvidenceError, match="no value for any rewrite"):
        found(session, search=(BROKEN,))
    assert session.library.count() == len(painter.painted) > 0


def test_judges_without_values_give_no_verdict_and_nothing_is_lost(session: Session, painter: Painter) -> None:
    with pytest.raises(EvidenceError, match="0 of 7 pairs have a value"):
        found(session, judges=(BROKEN,))
    assert session.library.count() == len(painter.painted) == 20


def test_a_prompt_that_is_several_is_refused(session: Session) -> None:
    with pytest.raises(InvalidRequest, match="several prompts"):
        begin(Request(prompt="a {red|blue|green} fox"), session, wishes())


def test_a_chosen_seed_is_no_verdict(session: Session) -> None:
    refinement = found(session, strategies=("seeds",), budget=8)
    assert refinement.outcome == "chosen"
    assert not refinement.verified
    assert "says nothing of a prompt" in refinement.sentence
    assert len(refinement.best) == 2  # six seeds with few steps, two with all


class Voter:
    """Prefers the redder picture; leaves after so many votes."""

    def __init__(self, leaves_after: int = 99) -> None:
        self.asked, self.leaves_after = 0, leaves_after

    def __call__(self, own: Image, theirs: Image, number: int, total: int) -> int:
        if self.asked == self.leaves_after:
            raise Cancelled("stopped")
        self.asked += 1
        return 1 if theirs.pixels[..., 0].mean() > own.pixels[..., 0].mean() else -1


def test_votes_enter_the_same_test_and_are_kept_one_by_one(session: Session) -> None:
    request, own = Request(prompt=WORDS), wishes(judges=(), interactive=True)
    first, second = Voter(leaves_after=3), Voter()
    stopped = begin(request, session, own, Faces(vote=first, choose=lambda pool: pool[1:])).run()
    assert stopped.outcome == "stopped"
    whole = resume(session, stopped.id, Faces(vote=second)).run()
    assert first.asked + second.asked == whole.design.pairs
    assert whole.outcome == "better"
    assert whole.verdict is not None
    assert whole.verdict.judges[0].wins == whole.design.pairs
    # What was struck out is not drawn, but for the rewording that the others have to beat.
    assert {each.candidate for round_ in whole.rounds for each in round_} == {"r1", "r2"}
    assert any("r1 stays in" in notice for notice in whole.notices)


def test_a_language_models_answers_are_not_asked_for_again(session: Session, painter: Painter) -> None:
    calls: list[str] = []

    def write(text: str) -> str:
        calls.append(text)
        return "a red red fox in the snow at night\na red fox on snow\na red red fox in snow"

    painter.stop_after = 8
    own = wishes(strategies=("opt2i",), llm="stand-in")
    stopped = begin(Request(prompt=WORDS), session, own, Faces(write=write)).run()
    assert stopped.outcome == "stopped"
    asked, painter.stop_after = len(calls), None
    assert asked
    whole = resume(session, stopped.id, Faces(write=write)).run()
    assert whole.verified
    assert len(calls) == asked


def test_seconds_are_a_budget_and_the_verdict_fits_the_clock(session: Session) -> None:
    found(session)  # from here on the pace is known
    refinement = begin(Request(prompt=WORDS), session, wishes_seconds(40), Faces()).run()
    assert refinement.verified
    assert refinement.design.budget.seconds == 40


def wishes_seconds(seconds: float) -> Wishes:
    return Wishes(Budget(seconds=seconds), ("redder",), (SEARCHER,), (JUDGE,))


def test_the_library_function(session: Session) -> None:
    refinement = refine(
        WORDS, budget="20images", strategies=["redder"], scorers=[SEARCHER], judges=[JUDGE], session=session, steps=3
    )
    assert refinement.outcome == "better"
    assert refinement.request.steps == 3
    assert callable(limner.refine)


def test_a_newer_journal_is_not_guessed_at(session: Session) -> None:
    refining = begin(Request(prompt=WORDS), session, wishes())
    path = refining.journal.path
    assert path is not None
    path.write_text(path.read_text("utf-8").replace('"version": 1', '"version": 2'), "utf-8")
    with pytest.raises(LibraryError, match="of another Limner"):
        Journal.open(session.settings.library_root)
