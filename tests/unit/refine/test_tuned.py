"""Whether a LoRA worked: what is asked, what decides, what is kept, and what it says when it did harm."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner import registry
from limner.engine.ticket import Ticket
from limner.errors import Cancelled as CancelledError
from limner.errors import InvalidRequest, ModelNotFound
from limner.evaluate.statistics import holm
from limner.refine import tuned_design, tuned_likeness
from limner.refine.compare_study import Scorers
from limner.refine.diversity import PIXELS
from limner.refine.report import render
from limner.refine.report.tuned import report_of
from limner.refine.tuned import run
from limner.refine.tuned_answers import Shown
from limner.refine.tuned_asked import PLACES, THINGS, Asked, Taught, asked_of, new_scenes
from limner.refine.tuned_design import LEARNT_BY_HEART, Ready, prepare
from limner.refine.tuned_likeness import FIDELITY, Reference, References
from limner.refine.verdict import Claim, judge, judge_each
from limner.session import Session
from limner.types import Cancelled, Done, Drawn, Facts, Pixels, Plan, Queued, Request
from tests.unit.refine.painting import SIDE, Painter
from tests.unit.refine.paired import CELLS, paired_by, redness, register

TAUGHT = Taught(called="a sks fox", token="sks", kind="fox", captions=("a sks fox on the beach",))
ASKED = asked_of(TAUGHT, ["a red car"], ["at night"])
AFTER = 40  # the guidance that stands for the LoRA


class Adapted(Painter):
    """Draws noise by the seed; after it was adapted the first "sks" has blue, what ``forgets`` names loses its red, and
    where it is ``alike`` all seeds give one picture."""

    def __init__(self) -> None:
        super().__init__()
        self.forgets = "nothing"
        self.alike = False
        self.learns = True

    def _draw(self, plan: Plan, ticket: Ticket, cancelled: threading.Event) -> None:
        ticket.tell(Queued(len(plan.seeds)))
        for k, seed in enumerate(plan.seeds):
            if len(self.painted) == self.stop_after:
                ticket.tell(Cancelled())
                return
            self.painted.append((plan.prompt, seed.seed))
            after = plan.recipe.guidance == AFTER
            picture = scene(0 if after and self.alike else seed.seed)
            if after and self.learns and "sks" in plan.prompt.split():
                picture = striped(picture)
            if after and self.forgets in plan.prompt:
                picture[..., 0] -= 60
            facts = Facts("Adapted", 1, {"total": 0.5}, 1_000_000, {"limner": "test"})
            ticket.tell(Drawn(plan.first + k, picture, facts))
        ticket.tell(Done(()))


def scene(seed: int) -> Pixels:
    field = np.random.default_rng(seed).integers(60, 120, (4, 4, 3)).repeat(SIDE // 4, 0).repeat(SIDE // 4, 1)
    return field.astype(np.uint8)


def striped(picture: Pixels) -> Pixels:
    """The subject's look: blue stripes."""
    made = picture.copy()
    made[:, : SIDE // 4, 2] = made[:, SIDE // 2 : 3 * SIDE // 4, 2] = 250
    return made


def pictures(
    start: int, count: int, caption: str = "a sks fox on the beach", *, stripes: bool = True
) -> dict[str, Reference]:
    drawn = [scene(start + k) for k in range(count)]
    return {f"{start + k}": Reference(striped(p) if stripes else p, caption) for k, p in enumerate(drawn)}


KNOWN = References(pictures(900, 6), pictures(950, 3))


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> Adapted:
    own_home.mkdir()
    (own_home / "config.toml").write_text('[score]\ndefault = "none"\n')
    register(monkeypatch, "redness", redness)
    monkeypatch.setitem(registry.BUILT_IN["metrics"], "cells", CELLS)
    monkeypatch.setattr(tuned_likeness, "TOWERS", ("cells",))
    usual = Scorers(judges=("redness",), alignment="redness", diversity=PIXELS)
    monkeypatch.setattr(tuned_design, "default_scorers", lambda session, world, device: usual)
    return Adapted()


@pytest.fixture
def keeping(painter: Adapted) -> Iterator[Session]:
    with Session(backend=painter, scored=False, marks="none") as opened:
        yield opened


@pytest.fixture
def session(painter: Adapted) -> Iterator[Session]:
    with Session(backend=painter, scored=False, keep=False) as opened:
        yield opened


def planned(session: Session, references: References = KNOWN, asked: Sequence[Asked] = ASKED, **more: object) -> Ready:
    before, after = (Request.of(prompt="x", width=64, height=64, guidance=each) for each in (1, AFTER))
    options: dict[str, Any] = {"n": 8, **more}
    return prepare(before, after, asked, references, session, **options)


def shown(session: Session, references: References = KNOWN, **more: Any) -> Shown:
    return run(planned(session, references, **more), session)


def test_a_subject_that_was_learnt_is_kept_as_a_study_with_all_its_pictures(keeping: Session) -> None:
    session, found = keeping, shown(keeping)
    assert found.learnt == "yes"
    assert found.lost == ()
    assert found.headline == "Learnt (8 seeds). Lost: nothing shown. Kept 8 of 8."
    assert found.numbers.startswith("Likeness of 'a sks fox' to the 3 pictures held out: ")
    subject = found.answers[0]
    assert [test.scorer.name for test in subject.verdict.judges] == [FIDELITY]
    assert [each.group for each in subject.likeness] == ["held out", "trained on"]
    assert "3 pictures held out" in subject.verdict.judges[0].scorer.scale
    folder = session.settings.library_root / "tunings" / found.id
    assert found.folder == folder
    assert sorted(path.name for path in folder.iterdir()) == ["grid.png", "shown.json", "study.json"]
    kept = json.loads((folder / "shown.json").read_text())
    assert kept == json.loads(json.dumps(found.as_json()))
    for answer in kept["answers"]:
        for side, guidance in (("before", 1), ("after", AFTER)):
            records = [session.library.get(each).record for each in answer["pictures"][side]]
            assert [record.recipe.guidance for record in records if record] == [guidance] * 8
    page = render(report_of(found, session, [("rank, alpha", "16, 16")]))
    assert "likeness to the 3 pictures held out" in page
    assert "<td>a scene</td>" in page
    assert "after Holm over them" in page
    assert page.count('id="side-') == len(ASKED)


def test_all_questions_share_one_chance_of_a_false_verdict(session: Session) -> None:
    found = shown(session)
    tests = [test for each in found.answers for test in each.verdict.judges]
    assert len(tests) == len(ASKED) == 4
    assert {each.verdict.hypotheses for each in found.answers} == {4}
    assert [test.adjusted for test in tests] == pytest.approx(holm([test.p for test in tests]))
    assert "4 questions share one chance of a false verdict, 5%" in found.how
    assert "after Holm over 4" in found.numbers


def test_one_picture_for_all_seeds_is_told(session: Session, painter: Adapted) -> None:
    painter.alike = True
    found = shown(session)
    assert all(each.diversity == "lost" for each in found.answers)
    assert "diversity of 'a sks fox'" in found.lost
    assert found.answers[0].verdict.outcome == "traded off"
    assert any(note.startswith("'a sks fox' is drawn more alike from seed to seed") for note in found.notices())


def test_one_picture_for_all_seeds_is_told_though_its_own_pictures_are_alike(
    session: Session, painter: Adapted
) -> None:
    """Down to the diversity of its own pictures nothing is lost; below it is."""
    same = scene(900)
    nearly = {f"{k}": Reference(striped(same ^ np.uint8(k)), "a sks fox") for k in range(1, 4)}
    fine = shown(session, References(nearly, {}))
    assert fine.answers[1].spread.own is not None
    assert fine.answers[1].spread.own < fine.answers[1].spread.before / 10
    assert fine.answers[1].diversity == "kept"
    painter.alike = True
    assert shown(session, References(nearly, {}), seed=1).answers[1].diversity == "lost"


def test_words_that_are_lost_are_said_to_be_lost(session: Session, painter: Adapted) -> None:
    """A verdict's own guards are those of who wins, and before wins here: they are kept."""
    painter.forgets = "red car"
    found = shown(session)
    assert "words of 'a red car'" in found.lost
    assert "Lost: words of 'a red car'." in found.headline
    assert found.answers[-1].verdict.outcome == "worse"
    assert {each.words for each in found.answers[:-1]} == {"kept"}


def test_what_was_learnt_by_heart_is_not_learnt(session: Session) -> None:
    """Likeness to the pictures it was trained on rises, and those held out look otherwise."""
    otherwise = References(KNOWN.trained, pictures(960, 3, stripes=False))
    found = shown(session, otherwise)
    assert found.learnt != "yes"
    held, trained = found.answers[0].likeness
    assert trained.low is not None
    assert trained.low > 0
    assert held.after - held.before < trained.after - trained.before


def test_without_pictures_held_out_it_is_indicative(session: Session) -> None:
    found = shown(session, References(KNOWN.trained, {}))
    assert found.learnt == "yes"
    verdict = found.answers[0].verdict
    assert (verdict.strength, verdict.caps) == ("indicative", (LEARNT_BY_HEART,))
    assert "Learnt (indicative only, 8 seeds)" in found.headline
    assert LEARNT_BY_HEART in found.numbers
    assert {each.verdict.strength for each in found.answers[1:]} == {"confirmed"}


def test_a_lora_without_effect_is_no_evidence(session: Session, painter: Adapted) -> None:
    painter.learns = False
    found = shown(session)
    assert found.learnt == "not shown"
    assert found.headline.startswith("Not shown to be learnt (8 seeds)")
    assert found.lost == ()


def test_it_is_laid_beside_pictures_of_the_same_words(session: Session) -> None:
    """A held-out picture of other words says nothing of one on the beach."""
    forest, beach = "a sks fox in the forest", "a sks fox on the beach"
    known = References(pictures(900, 4, beach), {**pictures(950, 2, forest, stripes=False), **pictures(960, 2, beach)})
    asked = asked_of(TAUGHT.model_copy(update={"held": (beach, beach)}), ["a red car"])
    alone = shown(session, References(known.trained, pictures(960, 2, beach)), asked=asked)
    both = shown(session, known, asked=asked)
    assert both.answers[0].likeness[0].after == pytest.approx(alone.answers[0].likeness[0].after)


def test_what_was_stopped_goes_on_and_the_study_was_there_first(keeping: Session, painter: Adapted) -> None:
    session = keeping
    ready = planned(session, n=8)
    painter.stop_after = 20
    with pytest.raises(CancelledError):
        run(ready, session)
    (folder,) = (session.settings.library_root / "tunings").iterdir()
    assert [path.name for path in folder.iterdir()] == ["study.json"]
    painter.stop_after = None
    assert planned(session, n=8).made == 20
    first = run(planned(session, n=8), session)
    assert run(planned(session, n=8), session).as_json() == first.as_json()
    assert len(painter.painted) == len(set(painter.painted)) * 2 == ready.design.pictures == 2 * 8 * len(ASKED)


def test_another_file_of_the_same_name_is_another_study(session: Session) -> None:
    assert planned(session, lora="sha256:1").design.id != planned(session, lora="sha256:2").design.id


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"n": 7}, "7 seeds cannot decide anything: 4 tests"),
        ({"seed": 3, "trained_seeds": 8}, "seeds 0 to 7"),
        ({"margin": 0.0}, "margin"),
        ({"alpha": 0.9}, "alpha"),
    ],
)
def test_refused_before_anything_is_drawn(session: Session, painter: Adapted, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        planned(session, **more)
    assert not painter.painted


def test_without_a_clip_likeness_cannot_be_told(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned_likeness, "TOWERS", ())
    with pytest.raises(ModelNotFound, match="no CLIP"):
        planned(session)


def test_words_that_the_judge_has_no_question_for_are_the_clips_and_it_is_said(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "warmth", redness)
    usual = Scorers(judges=("redness",), alignment="warmth", diversity=PIXELS)
    monkeypatch.setattr(tuned_design, "default_scorers", lambda session, world, device: usual)
    assert planned(session).design.studies[0].scorers.judges == ("redness",)
    strange = planned(session, asked=asked_of(Taught(called="a sks gizmo", token="sks", kind="gizmo")))
    assert strange.design.studies[0].scorers.judges == ("warmth",)
    assert any("nothing to ask about in 'a gizmo'" in note for note in strange.design.studies[0].notices)


def test_the_answers_to_each_question_of_the_words_are_told(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    class Yes:
        def __init__(self, question: str, value: float) -> None:
            self.question, self.value = question, value

    asks = register(monkeypatch, "redness", redness)
    answers = lambda self, pixels, text: [Yes(f"{text}?", float(pixels[..., 2].max() == 250))]  # noqa: E731
    monkeypatch.setattr(asks, "answers", answers, raising=False)
    found = shown(session)
    assert [(each.question, each.before, each.after) for each in found.answers[0].facts] == [("a fox?", 0, 1)]
    (fact,) = found.answers[-1].facts
    assert (fact.question, fact.after) == ("a red car?", 0)


def test_verdicts_with_judges_of_their_own_are_those_of_one_family() -> None:
    rng = np.random.default_rng(1)
    first = paired_by(x=(rng.normal(size=12), rng.normal(size=12) + 2), g=(np.arange(12), np.arange(12)))
    second = paired_by(y=(rng.normal(size=12), rng.normal(size=12)), g=(np.arange(12), np.arange(12)))
    found = judge_each([Claim(first, ("x",)), Claim(second, ("y",), ("doubt",))], alignment="g", diversity="g")
    alone = [judge(p, judges=[n], alignment="g", diversity="g") for p, n in ((first, "x"), (second, "y"))]
    raw = [each.judges[0].p for each in alone]
    assert [each.judges[0].p for each in found] == raw
    assert [each.judges[0].adjusted for each in found] == pytest.approx(holm(raw))
    assert [each.strength for each in found] == ["confirmed", "indicative"]


@given(st.lists(st.sampled_from([*PLACES, *THINGS, "in the snow at night", "with balloons"])))
def test_no_scene_was_in_a_caption(said: list[str]) -> None:
    words = set(" ".join(said).split()) - {"a", "an", "the", "in", "on", "at", "and"}
    for scene_ in new_scenes(said):
        assert not words & set(scene_.split())


@given(
    st.lists(st.sampled_from(["a sks fox", "a SKS fox in the snow", "sks fox, {odd} | words_"]), max_size=4),
    st.lists(st.sampled_from(["a red car", "a fox", "a sks fox", "two cats"]), max_size=4),
)
def test_no_question_is_asked_twice_and_no_scorer_is_told_the_name(held: list[str], others: list[str]) -> None:
    asked = asked_of(TAUGHT.model_copy(update={"held": tuple(held)}), others)
    assert asked[0].what == "the subject"
    assert len({each.prompt for each in asked}) == len(asked)
    taught = [each for each in asked if each.what in ("the subject", "a scene")]
    assert not any(re.search("sks", text, re.I) for each in taught for text in (each.words, *each.each.values()))


def test_a_style_shows_on_things_and_captions_alone_ask_their_own() -> None:
    style = asked_of(Taught(called="inkwash style", style=True, held=("a cat, inkwash style",)), ["a red car"])
    assert (style[0].prompt, style[0].words) == ("a cat, inkwash style", "a cat")
    assert next(each.words for each in style if each.what == "a scene") == "a red car on the beach"
    alone = asked_of(Taught(called="my dog Rex"), ["a red car"])
    assert [each.prompt for each in alone] == ["my dog Rex", "a red car"]
