"""Comparing as a library: what is drawn, reused, refused and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import limner
from limner.errors import Cancelled, EvidenceError, InvalidRequest, ScorerOutOfDomain
from limner.refine.arms import Arm, differing
from limner.refine.compare import Comparison, compare, prepare, run, study_of
from limner.refine.compare_scoring import scorers_for
from limner.refine.compare_study import Scorers, Study, Text
from limner.refine.compare_table import as_csv, categories, costs, versus
from limner.session import Session
from limner.types import Pixels, Request
from tests.unit.refine.painting import Painter
from tests.unit.refine.paired import blueness, redness, register

PLAIN, RED = "a fox", "a red red fox"


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> Painter:
    own_home.mkdir()
    (own_home / "config.toml").write_text('[score]\ndefault = "none"\n')  # the built-in scorers are not what is tested
    register(monkeypatch, "redness", redness)
    register(monkeypatch, "blueness", blueness)
    return Painter()


@pytest.fixture
def session(painter: Painter) -> Iterator[Session]:
    with Session(backend=painter) as opened:
        yield opened


def compared(session: Session, a: str | Request = PLAIN, b: str | Request = RED, **options: object) -> Comparison:
    chosen: dict[str, object] = {
        "judges": ["redness"],
        "diversity": "pixel-spread",  # the Painter's fields are nothing to a scorer's tower
        "n": 8,
        "session": session,
        **options,
    }
    return compare(a, b, **chosen)  # type: ignore[arg-type]


def test_the_better_prompt_is_found_over_the_same_seeds(session: Session, painter: Painter) -> None:
    found = compared(session)
    assert found.verdict.outcome == "better"
    assert [each.field for each in found.verdict.differing] == ["prompt"]
    seeds = {words: [seed for prompt, seed in painter.painted if prompt == words] for words in (PLAIN, RED)}
    assert seeds[PLAIN] == seeds[RED] == list(found.verdict.seeds)
    # Only red is added: each pair differs by exactly that.
    assert found.verdict.judges[0].gain == pytest.approx(60 / 255, abs=0.01)
    assert found.verdict.judges[0].correlation == pytest.approx(1, abs=0.01)
    assert found.grid.startswith(b"\x89PNG")
    assert limner.compare is compare


def test_scores_are_against_the_users_own_words(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()

    def words(pixels: Pixels, text: str) -> float:
        asked.add(text)
        return redness(pixels, text)

    register(monkeypatch, "words", words)
    compared(session, judges=["words"])
    assert asked == {PLAIN}
    asked.clear()
    compared(session, judges=["words"], text="an animal in winter", n=7)
    assert asked == {"an animal in winter"}


def test_a_second_run_draws_nothing_and_finds_the_same(session: Session, painter: Painter) -> None:
    first = compared(session)
    drawn = len(painter.painted)
    again = compared(session)
    assert len(painter.painted) == drawn == 16
    assert again.verdict == first.verdict
    assert again.study.id == first.study.id


def test_what_was_stopped_goes_on(session: Session, painter: Painter) -> None:
    painter.stop_after = 11
    with pytest.raises(Cancelled):
        compared(session)
    painter.stop_after = None
    found = compared(session)
    assert len(painter.painted) == len(set(painter.painted)) == 16
    assert found.verdict.n == 8


def test_the_study_is_stored_before_the_first_picture(session: Session, painter: Painter) -> None:
    painter.stop_after = 0
    with pytest.raises(Cancelled):
        compared(session, margin=0.3)
    (folder,) = (session.settings.library_root / "comparisons").iterdir()
    stored = json.loads((folder / "study.json").read_text())
    assert stored["scorers"]["judges"] == ["redness"]
    assert (stored["n"], stored["margin"]) == (8, 0.3)
    assert [arm["request"] for arm in stored["arms"]] == [{"prompt": PLAIN}, {"prompt": RED}]
    assert not (folder / "comparison.json").exists()


def test_another_margin_is_another_study_over_the_same_pictures(session: Session, painter: Painter) -> None:
    one, other = compared(session, margin=0.5), compared(session, margin=0.2)
    assert one.study.id != other.study.id
    assert len(painter.painted) == 16


def test_lost_diversity_is_a_trade(session: Session) -> None:
    found = compared(session, b="the same red red red fox")
    assert found.verdict.outcome == "traded off"
    assert [test.role for test in found.verdict.guards if test.finding == "lost"] == ["diversity"]


def test_alignment_is_guarded_by_a_scorer_that_reads_words(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "looks", redness, takes="picture")
    assert compared(session, judges=["looks", "redness"]).study.scorers.alignment == "redness"
    monkeypatch.setattr("limner.refine.compare_scoring.is_here", lambda session, name: False)
    unguarded = compared(session, judges=["looks"])
    assert unguarded.study.scorers.alignment is None
    assert "alignment with the words was not measured" in unguarded.verdict.caps


def test_where_the_default_judge_is_not_here_a_search_scorer_judges_and_it_is_said(session: Session) -> None:
    found = scorers_for(session, [Arm.of("A", Request(prompt=PLAIN))], (), None)
    assert found.alignment == "pocket-clip"
    if found.judges != ("pocket-judge",):
        assert found.judges == ("pocket-clip",)
        assert "pocket-judge is not here" in found.caps[0]


def test_values_for_no_prompt_at_all_are_an_error_that_keeps_the_pictures(
    session: Session, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "broken", lambda pixels, text: float("nan"))
    low, high = Request(prompt="-", guidance=1.0), Request(prompt="-", guidance=50.0)
    with pytest.raises(EvidenceError, match="no prompt has a value") as caught:
        compared(session, low, high, prompts=PROMPTS, n=2, judges=["broken"])
    assert "kept" in caught.value.hint
    drawn = len(painter.painted)
    assert compared(session, low, high, prompts=PROMPTS, n=2).verdict.outcome == "better"
    assert len(painter.painted) == drawn


def test_two_looks_stop_early_where_it_is_decided(session: Session, painter: Painter) -> None:
    found = compared(session, n=24, looks=2)
    assert found.verdict.outcome == "better"
    assert (found.verdict.look, found.verdict.n) == (1, 12)
    assert len(painter.painted) == 24
    assert found.verdict.level == pytest.approx(0.015)


def test_two_looks_go_on_where_it_is_not(session: Session, painter: Painter) -> None:
    found = compared(session, b="a fox there", n=24, looks=2, judges=["blueness"])
    assert found.verdict.outcome == "no evidence"
    assert (found.verdict.look, found.verdict.n) == (2, 24)
    assert len(painter.painted) == 48


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 5}, "need at least 7"),
        ({"n": 6, "judges": ["redness", "blueness"]}, "need at least 7"),
        ({"n": 14, "looks": 2}, "14 seeds are too few to look twice"),
        ({"b": PLAIN}, "nothing to compare"),
        ({"b": Request(prompt=PLAIN, steps=20)}, "nothing to compare"),
        ({"judges": ["nobody"]}, "nobody"),
        ({"looks": 3}, "looks"),
        ({"margin": -1.0}, "margin"),
    ],
)
def test_refused_before_anything_is_drawn(
    session: Session, painter: Painter, options: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        compared(session, **options)
    assert words in caught.value.message
    assert not painter.painted


def test_a_scorer_of_another_world_is_refused_before_anything_is_drawn(
    session: Session, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "foreign", redness, domain="oil paintings")
    with pytest.raises(ScorerOutOfDomain, match="oil paintings"):
        compared(session, judges=["foreign"])
    assert not painter.painted


def test_a_value_that_is_no_number_loses_its_pair_and_no_other(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared(session)
    worst = [float("nan")]

    def shaky(pixels: Pixels, text: str) -> float:
        return worst.pop() if worst else redness(pixels, text)

    register(monkeypatch, "shaky", shaky, revision="2")
    found = compared(session, judges=["shaky"], alignment="redness", score=once_only(session))
    assert found.verdict.n == 7
    assert found.verdict.strength == "indicative"
    assert found.verdict.outcome == "better"
    assert any("left out" in notice.message for notice in found.verdict.notices)


def once_only(session: Session) -> object:
    """The session's scoring, a picture at a time: where a batch fails the session asks again one by one."""

    def score(
        images: Sequence[limner.Image], texts: Sequence[str], metrics: Sequence[str], *, failures: object = None
    ) -> object:
        rows = []
        for k, (image, text) in enumerate(zip(images, texts, strict=True)):
            alone: dict[tuple[int, str], limner.LimnerError] = {}
            rows += session.score([image], [text], metrics, failures=alone)
            assert isinstance(failures, dict)
            failures.update({(k, name): error for (_, name), error in alone.items()})
        return rows

    return score


def test_a_text_that_no_picture_can_be_scored_against_is_an_error_that_keeps_the_pictures(
    session: Session, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pixels: Pixels, text: str) -> float:
        raise InvalidRequest(f"the text has {len(text.split())} words; the limit is 2", field="text")

    register(monkeypatch, "short", refuse)
    with pytest.raises(InvalidRequest, match="the limit is 2") as caught:
        compared(session, judges=["short"])
    assert "kept" in caught.value.hint
    assert len(painter.painted) == 8
    assert compared(session).verdict.outcome == "better"
    assert len(painter.painted) == 16


PROMPTS = [f"a {animal}" for animal in ("cat", "dog", "owl", "bee", "cow", "hen", "pig", "fly")]


def test_prompts_are_the_unit_where_there_are_several(session: Session, painter: Painter) -> None:
    low, high = Request(prompt="-", guidance=1.0), Request(prompt="-", guidance=50.0)
    found = compared(session, low, high, prompts=PROMPTS, n=2)
    verdict = found.verdict
    assert (verdict.outcome, verdict.unit, verdict.n) == ("better", "prompt", 8)
    assert [(each.field, each.a, each.b) for each in verdict.differing] == [("guidance", "1.0", "50.0")]
    assert len(painter.painted) <= 32  # words that the model does not know are the same to it, and drawn once
    (row,) = versus(found)
    # Wilson's interval for 8 of 8, the prompts; 16 of 16 pairs of pictures would claim more.
    assert row.won == (1, pytest.approx(0.6756, abs=1e-4), pytest.approx(1))


def test_fewer_prompts_than_the_test_needs_are_refused(session: Session, painter: Painter) -> None:
    low, high = Request(prompt="-", guidance=1.0), Request(prompt="-", guidance=50.0)
    with pytest.raises(InvalidRequest, match="5 prompts cannot decide"):
        compared(session, low, high, prompts=PROMPTS[:5], n=40)
    assert not painter.painted


def test_one_seed_a_prompt_has_no_diversity(session: Session) -> None:
    low, high = Request(prompt="-", guidance=1.0), Request(prompt="-", guidance=50.0)
    found = compared(session, low, high, prompts=PROMPTS, n=1)
    assert found.verdict.strength == "indicative"
    assert [test.role for test in found.verdict.guards] == ["alignment"]


def three_steps(n: int = 8) -> Study:
    arms = [Arm.of(f"guidance {g}", Request(prompt=PLAIN, guidance=g)) for g in (1.0, 2.0, 60.0)]
    return study_of(arms, [Text(words=PLAIN)], Scorers(judges=("redness",), alignment="redness"), n=n)


def test_more_than_two_sides_share_one_alpha(session: Session) -> None:
    found = run(prepare(three_steps(), session), session)
    assert [(each.a, each.b) for each in found.verdicts] == [
        ("guidance 1.0", "guidance 2.0"),
        ("guidance 1.0", "guidance 60.0"),
    ]
    assert all(each.hypotheses == 2 for each in found.verdicts)
    assert found.verdict.judges[0].adjusted == pytest.approx(2 * 2 / 2**8)
    with pytest.raises(InvalidRequest, match="need at least 7"):
        three_steps(6)


def test_tables_and_csv(session: Session) -> None:
    arms = [Arm.of("low", Request(prompt="-", guidance=1.0)), Arm.of("high", Request(prompt="-", guidance=50.0))]
    texts = [
        Text(words=each, prompt=each, category="birds" if each in ("a owl", "a hen") else "others") for each in PROMPTS
    ]
    texts[0] = Text(words="=cat", prompt="=cat", category="others")
    study = study_of(arms, texts, Scorers(judges=("redness",), alignment="redness"), n=2)
    found = run(prepare(study, session), session)
    assert {(row.name, row.prompts, row.lost) for row in categories(found)} == {("birds", 2, 0), ("others", 6, 0)}
    low, high = costs(found)
    assert (low.model, low.licence, low.peak_bytes) == ("pocket", "Apache-2.0", 1_000_000)
    assert high.seconds == pytest.approx(0.5, abs=0.01)
    lines = as_csv(found).splitlines()
    assert len(lines) == 1 + 32
    assert lines[0].startswith("prompt,text,category,arm,model,licence,seed,redness,seconds")
    assert lines[1].startswith("'=cat,'=cat,others,low,pocket")


def test_nothing_is_kept_where_nothing_shall_be(painter: Painter) -> None:
    with Session(backend=painter, keep=False) as session:
        found = compared(session)
        assert found.folder is None
        assert found.verdict.outcome == "better"
        assert not (session.settings.library_root / "comparisons").exists()


def test_differing_names_every_field_but_seed_and_number() -> None:
    a, b = Request(prompt="a fox", seed=1), Request(prompt="a fox", seed=2, n=3, steps=4, styles=("anime",))
    assert [(each.field, each.a, each.b) for each in differing(a, b)] == [("steps", "", "4"), ("styles", "", "anime")]
