"""The worker's handlers beside drawing: they tell how far they are, stop when told, and go on where they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.errors import Cancelled, LimnerError, OfflineError
from limner.serve.studies.store import Compared, Gridded, Refined, Studies
from limner.serve.studies.ties import Ties
from limner.serve.work import compare, pull, refine, score, upscale
from limner.session import Session
from tests.hub_server import HubServer
from tests.unit.models import tiny
from tests.unit.refine.painting import Painter
from tests.unit.refine.refine_world import register
from tests.unit.serve.study_world import compare_body, open_session, refine_body, work


@pytest.fixture
def painter() -> Painter:
    return Painter()


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, own_home: Path, painter: Painter) -> Iterator[Session]:
    register(monkeypatch)
    with open_session(own_home, painter) as opened:
        yield opened


def test_a_refinement_tells_its_pictures_and_how_far_it_is(session: Session) -> None:
    job, told = work("refine", refine_body())
    result = refine.run(session, job)
    made = told.of("made")
    assert [each["index"] for each in made] == list(range(len(made)))
    assert all(session.library.get(str(each["picture"])) for each in made)
    notes = [each for each in told.of("note") if "done" in each]
    done = [int(str(each["done"])) for each in notes]
    assert done == sorted(done)
    assert done[-1] == len(made) == notes[-1]["total"]
    assert result["outcome"] == "better"
    assert str(result["prompt"]).startswith("red ")
    stored = Studies(session.settings.library_root).get(str(result["study"]))
    assert isinstance(stored, Refined)
    assert stored.finished
    assert stored.report.is_file()
    json.dumps(dict(result))  # it goes through a pipe


def test_a_refinement_that_is_stopped_keeps_the_best_and_another_attempt_goes_on(
    session: Session, painter: Painter
) -> None:
    painter.stop_after = 14
    job, _ = work("refine", refine_body())
    with pytest.raises(Cancelled):
        refine.run(session, job)
    study = Ties(session.settings.data).of(job.job)
    assert study is not None
    halfway = Studies(session.settings.library_root).get(study)
    assert isinstance(halfway, Refined)
    assert not halfway.finished
    assert halfway.found.outcome == "stopped"
    assert halfway.found.shots

    painter.stop_after = None
    before = list(painter.painted)
    again, told = work("refine", refine_body(), made=["0" * 14] * 14)
    result = refine.run(session, again)
    assert result["study"] == study
    assert not set(before) & set(painter.painted[len(before) :])  # nothing is drawn twice
    assert min(int(str(each["index"])) for each in told.of("made")) == 14  # places go on too
    stored = Studies(session.settings.library_root).get(study)
    assert isinstance(stored, Refined)
    assert stored.finished


def test_a_study_can_be_gone_on_with_by_another_job(session: Session, painter: Painter) -> None:
    painter.stop_after = 10
    first, _ = work("refine", refine_body())
    with pytest.raises(Cancelled):
        refine.run(session, first)
    painter.stop_after = None
    study = Ties(session.settings.data).of(first.job)
    other, _ = work("refine", refine_body(resume=study), job="2" * 14)
    assert refine.run(session, other)["study"] == study


def test_what_the_command_line_began_is_drawn_on_as_it_was_begun(session: Session, painter: Painter) -> None:
    painter.stop_after = 10
    first, _ = work("refine", refine_body())
    with pytest.raises(Cancelled):
        refine.run(session, first)  # this session draws each picture alone, as the command line does
    painter.stop_after = None
    before = list(painter.painted)
    study = Ties(session.settings.data).of(first.job)
    shared = Session(settings=session.settings, backend=painter, batching="shared", scored=False)
    other, _ = work("refine", refine_body(resume=study), job="2" * 14)
    assert refine.run(shared, other)["study"] == study
    assert not set(before) & set(painter.painted[len(before) :])


def test_a_job_that_should_stop_begins_nothing(session: Session, painter: Painter) -> None:
    job, _ = work("refine", refine_body())
    job.stop()
    with pytest.raises(Cancelled):
        refine.run(session, job)
    assert painter.painted == []


def test_a_budget_too_small_for_a_verdict_is_refused_with_what_is_enough(session: Session) -> None:
    job, _ = work("refine", refine_body(images=5))
    with pytest.raises(LimnerError, match="too small for a verdict"):
        refine.run(session, job)


def test_a_comparison_leaves_verdict_pictures_and_report(session: Session) -> None:
    # However unlike the shipped scorer finds painted pictures, the guard holds: it isn't what is asked here.
    job, told = work("compare", compare_body(diversity_margin=10.0))
    result = compare.run(session, job)
    stored = Studies(session.settings.library_root).get(str(result["study"]))
    assert isinstance(stored, Compared)
    assert stored.verdicts[0].outcome == "better"
    assert [len(row) for row in stored.pictures.values()] == [9, 9]
    assert stored.report.is_file()
    assert len(told.of("made")) == 18
    json.dumps(dict(result))


def test_the_same_comparison_again_draws_nothing(session: Session, painter: Painter) -> None:
    compare.run(session, work("compare", compare_body())[0])
    drawn = len(painter.painted)
    job, told = work("compare", compare_body(), job="2" * 14)
    compare.run(session, job)
    assert len(painter.painted) == drawn
    assert told.of("made") == []


def test_sides_are_drawn_to_be_looked_at_without_a_word_of_which_is_better(session: Session) -> None:
    body = compare_body(judged=False, n=2)
    result = compare.run(session, work("compare", body)[0])
    stored = Studies(session.settings.library_root).get(str(result["study"]))
    assert isinstance(stored, Gridded)
    assert stored.whole
    assert [len(row) for row in stored.pictures] == [2, 2]
    assert stored.names == ("A", "B")


def test_a_grid_that_is_stopped_shows_what_is_drawn(session: Session, painter: Painter) -> None:
    painter.stop_after = 2
    job, _ = work("compare", compare_body(judged=False, n=2))
    with pytest.raises(Cancelled):
        compare.run(session, job)
    study = Ties(session.settings.data).of(job.job)
    assert study is not None
    stored = Studies(session.settings.library_root).get(study)
    assert isinstance(stored, Gridded)
    assert not stored.whole
    assert [len(row) for row in stored.pictures] == [2, 0]


def test_scores_are_told_and_kept(session: Session) -> None:
    picture = session.draw("a red fox").id
    assert picture is not None
    job, told = work("score", {"pictures": [picture], "metrics": ["reds", "broken"]})
    result = score.run(session, job)
    scores, failures = result["scores"], result["failures"]
    assert isinstance(scores, list)
    assert isinstance(failures, list)
    assert [(each["picture"], each["scorer"]) for each in scores if isinstance(each, dict)] == [(picture, "reds")]
    assert [each["metric"] for each in failures if isinstance(each, dict)] == ["broken"]
    assert told.of("note")[-1]["done"] == 1
    assert [each.scorer for each in session.library.scores(picture)] == ["reds"]


def test_an_enlarged_picture_is_a_child_and_is_not_made_twice(session: Session, painter: Painter) -> None:
    picture = session.draw("a red fox").id
    assert picture is not None
    job, told = work("upscale", {"picture": picture})
    child = upscale.run(session, job)["picture"]
    assert told.of("made")[0] == {"index": 0, "picture": child, "seconds": 0.5}
    assert session.library.get(str(child)).parent == picture
    again, told = work("upscale", {"picture": picture}, made=[str(child)])
    assert upscale.run(session, again)["picture"] == child
    assert told.tidings == []


def test_what_ships_with_limner_is_not_fetched_and_offline_nothing_is(session: Session) -> None:
    assert pull.run(session, work("pull", {"name": "pocket"})[0]) == {"name": "pocket", "fetched_bytes": 0}
    session.offline = True
    with pytest.raises(OfflineError):
        pull.run(session, work("pull", {"name": "sdxl"})[0])


@pytest.fixture
def hub(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_HUB_CACHE", str(own_home / "hub"))
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.add("org/tiny", tiny.files())
        yield running


def test_a_model_is_fetched_with_its_bytes_told(hub: HubServer, session: Session) -> None:
    session.offline = False
    job, told = work("pull", {"name": "org/tiny"})
    result = pull.run(session, job)
    assert result["commit"] == hub.repos["org/tiny"].commit
    notes = told.of("note")
    assert notes[-1]["done"] == notes[-1]["total"]
    assert int(str(notes[-1]["total"])) > 0


def test_a_stopped_download_ends_and_is_gone_on_with(hub: HubServer, session: Session) -> None:
    session.offline = False
    job, _ = work("pull", {"name": "org/tiny"})
    job.stop()
    with pytest.raises(Cancelled):
        pull.run(session, job)
    again, _ = work("pull", {"name": "org/tiny"}, job="2" * 14)
    assert pull.run(session, again)["name"] == "org/tiny"
