"""Studies over HTTP and in the studio: lists, verdicts, reports, blind votes, new ones, and what is fetched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from limner.errors import Cancelled
from limner.refine.verdict import judge
from limner.refine.verdict_types import Looks
from limner.serve.studies.telling import axes
from limner.serve.studies.ties import Ties
from limner.serve.studies.views import StudyView
from limner.serve.studio.compare_shown import shown
from limner.serve.work import compare, refine
from tests.serving import Served, live
from tests.unit.refine.painting import Painter
from tests.unit.refine.paired import drawn
from tests.unit.refine.refine_world import register
from tests.unit.serve.study_world import compare_body, open_session, refine_body, work

HOSTILE = 'a red red fox "><script>alert(1)</script>'
PAGE = {"accept": "text/html"}
HTMX = {"hx-request": "true"}


class World:
    """A server over a library with a study of each kind; ``stopped`` is a refinement that was."""

    def __init__(self, server: Served, ids: dict[str, str]) -> None:
        self.server, self.ids = server, ids

    def __getattr__(self, name: str) -> str:
        return self.ids[name]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        ids = _studied(home)
        with live(home) as server:
            yield World(server, ids)


def _studied(home: Path) -> dict[str, str]:
    painter = Painter()
    with open_session(home, painter) as session:
        ids = {
            "compared": compare.run(session, work("compare", compare_body(HOSTILE))[0])["study"],
            "grid": compare.run(session, work("compare", compare_body(judged=False, n=1), job="4" * 14)[0])["study"],
            "refined": refine.run(session, work("refine", refine_body(), job="2" * 14)[0])["study"],
        }
        painter.stop_after = len(painter.painted) + 12
        job, _ = work("refine", refine_body(request={"prompt": "a house"}), job="3" * 14)
        with pytest.raises(Cancelled):
            refine.run(session, job)
        (stopped,) = {path.name.split(".")[0] for path in (home / "library/refinements").glob("*.now.json")}
    return {**{name: str(id) for name, id in ids.items()}, "stopped": stopped}


def test_studies_are_listed_newest_first(world: World) -> None:
    found = world.server.client.get("/api/v1/studies").json()
    assert [each["id"] for each in found["studies"]] == [world.stopped, world.refined, world.grid, world.compared]
    assert [each["finished"] for each in found["studies"]] == [False, True, True, True]
    assert found["next"] is None
    page = world.server.client.get("/api/v1/studies?limit=2&offset=1").json()
    assert [each["id"] for each in page["studies"]] == [world.refined, world.grid]
    assert page["next"] == 3


def test_a_study_says_its_verdict_and_shows_pairs_of_the_library(world: World) -> None:
    found = world.server.client.get(f"/api/v1/studies/{world.compared}").json()
    (side,) = found["sides"]
    assert found["sentence"] == side["verdict"]["sentence"]
    assert [pair["mark"] for pair in side["pairs"][:2]] == ["worst", "worst"]
    assert len(side["pairs"]) == 9
    for pair in side["pairs"][:2]:
        for each in ("a", "b"):
            assert world.server.client.get(f"/api/v1/pictures/{pair[each]}").status_code == 200
    gains = {pair["unit"]: pair["gain"] for pair in side["pairs"]}
    scores = {
        pair["unit"]: [
            next(score["value"] for score in _scores(world, pair[each]) if score["scorer"] == "warmth") for each in "ab"
        ]
        for pair in side["pairs"]
    }
    assert gains == {unit: pytest.approx(b - a) for unit, (a, b) in scores.items()}  # each pair shows its own pictures


def _scores(world: World, picture: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = world.server.client.get(f"/api/v1/pictures/{picture}/scores").json()
    return found


def test_a_refinement_tells_its_search_as_a_tree_and_who_won(world: World) -> None:
    found = world.server.client.get(f"/api/v1/studies/{world.refined}").json()
    assert found["winner"]["request"]["prompt"].startswith("red ")
    assert found["tree"]
    assert all(branch["edit"] and branch["words"] for branch in found["tree"])
    assert any(branch["finalist"] for branch in found["tree"])
    assert found["best"]


def test_drawing_with_who_won_is_a_job_like_any_other(world: World) -> None:
    answer = world.server.client.post(f"/api/v1/studies/{world.refined}/draw", json={"n": 2, "seed": 5})
    assert answer.status_code == 202
    job = world.server.wait(answer.json()["id"])
    assert job.state == "done"
    assert len(job.made) == 2
    won = world.server.client.get(f"/api/v1/studies/{world.refined}").json()["winner"]["request"]["prompt"]
    assert job.body["prompt"] == won


def test_a_report_is_nobody_on_this_server(world: World) -> None:
    answer = world.server.client.get(f"/api/v1/studies/{world.compared}/report")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert "<script>alert(1)" not in answer.text
    assert world.server.client.get(f"/api/v1/studies/{world.stopped}/report").status_code == 404


@pytest.mark.parametrize("id", ["0123456789abcdef", "..%2f..%2fqueue", "20261122-000000-zzzz", "%2e%2e", "x" * 300])
@pytest.mark.parametrize("rest", ["", "/report", "/ballot", "/votes"])
def test_no_id_leads_anywhere_else(world: World, id: str, rest: str) -> None:
    assert world.server.client.get(f"/api/v1/studies/{id}{rest}").status_code in (404, 422)
    assert world.server.client.get(f"/compare/{id}{rest}", headers=PAGE).status_code in (404, 422)


def test_a_damaged_study_leaves_the_others(world: World) -> None:
    place = world.server.service.settings.library_root / "grids" / f"{'0' * 16}.json"
    place.write_text("{", "utf-8")
    try:
        found = world.server.client.get("/api/v1/studies").json()["studies"]
        assert len(found) == 4
        answer = world.server.client.get(f"/api/v1/studies/{'0' * 16}")
        assert answer.status_code == 503
        assert "damaged" in answer.json()["error"]["message"]
        assert world.server.client.get("/compare").status_code == 200
    finally:
        place.unlink()


# --- blind votes


def _vote_all(world: World, id: str, rater: str, choose: str) -> None:
    """``choose``: which file's side is better, by a look at the pictures that only a test takes."""
    turn = world.server.client.get(f"/api/v1/studies/{id}/ballot", params={"rater": rater}).json()
    while turn["item"] is not None:
        choice = None if choose == "none" else turn[choose]
        answer = world.server.client.post(
            f"/api/v1/studies/{id}/votes", params={"rater": rater}, json={"item": turn["item"], "choice": choice}
        )
        assert answer.status_code == 200
        turn = answer.json()


@pytest.mark.parametrize("study", ["compared", "refined"])
def test_votes_are_withheld_until_all_are_given_and_then_enter_the_same_test(world: World, study: str) -> None:
    id = world.ids[study]
    client = world.server.client
    first = client.get(f"/api/v1/studies/{id}/ballot").json()
    assert first["number"] == 1
    assert first["total"] >= 7
    answer = client.get(f"/api/v1/studies/{id}/votes")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "votes_withheld"
    before = client.get(f"/api/v1/studies/{id}").json()["sides"][0]["verdict"]
    _vote_all(world, id, "you", "left")
    found = client.get(f"/api/v1/studies/{id}/votes").json()
    assert found["votes"] == first["total"]
    assert found["left"] == 1.0
    judges = [test["scorer"]["name"] for test in found["verdict"]["tests"] if test["role"] == "judge"]
    assert judges == [*(test["scorer"]["name"] for test in before["tests"] if test["role"] == "judge"), "votes"]
    assert found["verdict"]["hypotheses"] == before["hypotheses"] + 1  # Holm goes over the votes too
    assert "one rater alone voted" in found["verdict"]["caps"]


def test_a_second_rater_is_counted_apart_and_sees_other_sides(world: World) -> None:
    id = world.compared
    _vote_all(world, id, "you", "left")
    _vote_all(world, id, "Ann", "right")
    found = world.server.client.get(f"/api/v1/studies/{id}/votes", params={"rater": "Ann"}).json()
    assert sorted(found["raters"]) == ["Ann", "you"]
    assert found["kappa"] is not None
    assert found["left"] == 0.5


def test_a_ballot_tells_nothing_of_whose_a_picture_is(world: World) -> None:
    id, client = world.compared, world.server.client
    turn = client.get(f"/api/v1/studies/{id}/ballot", params={"rater": "nosy"}).json()
    for name in (turn["left"], turn["right"]):
        answer = client.get(f"/api/v1/studies/{id}/ballot/{name}")
        assert answer.headers["content-type"] == "image/webp"
        assert b"trainedAlgorithmicMedia" in answer.content  # marked as made by a model
        assert b"fox" not in answer.content
        assert re.fullmatch("[0-9a-f]{12}", name)
    assert client.get(f"/api/v1/studies/{id}/ballot/{'0' * 12}").status_code == 404


def test_the_last_vote_is_taken_back_and_a_vote_counts_once(world: World) -> None:
    id, client = world.compared, world.server.client
    rater = {"rater": "careful"}
    turn = client.get(f"/api/v1/studies/{id}/ballot", params=rater).json()
    body = {"item": turn["item"], "choice": turn["right"]}
    second = client.post(f"/api/v1/studies/{id}/votes", params=rater, json=body).json()
    assert second["number"] == 2
    assert client.post(f"/api/v1/studies/{id}/votes", params=rater, json=body).json() == second
    assert client.delete(f"/api/v1/studies/{id}/votes/last", params=rater).json() == turn
    assert client.delete(f"/api/v1/studies/{id}/votes/last", params=rater).json() == turn
    wrong = client.post(f"/api/v1/studies/{id}/votes", params=rater, json={"item": turn["item"], "choice": "0" * 12})
    assert wrong.status_code == 422


@pytest.mark.parametrize("study", ["grid", "stopped"])
def test_what_is_not_judged_cannot_be_voted_on(world: World, study: str) -> None:
    answer = world.server.client.get(f"/api/v1/studies/{world.ids[study]}/ballot")
    assert answer.status_code == 422
    assert "finish the study" in answer.json()["error"]["hint"]


def test_votes_in_the_page_go_on_pair_by_pair_without_script_too(world: World) -> None:
    client, id = world.server.client, world.refined
    client.delete(f"/api/v1/studies/{id}/votes/last")
    text = client.get(f"/compare/{id}/vote", headers=PAGE).text
    item = re.search(r'name="item" value="(\w+)"', text)
    choices = re.findall(r'name="choice" value="(\w{12})"', text)
    if item is None:  # no vote was given yet that could be taken back
        raise AssertionError(text)
    assert len(choices) == 2
    assert "red " not in re.sub(r"<[^>]+>", " ", text)  # the rewrite's words would tell
    answer = client.post(
        f"/ui/compare/{id}/votes", data={"item": item[1], "choice": choices[0]}, headers=PAGE, follow_redirects=False
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/compare/{id}/vote"
    answer = client.post(f"/ui/compare/{id}/votes", data={"choice": "undo"}, headers=HTMX)
    assert answer.status_code == 200
    assert f'value="{item[1]}"' in answer.text


# --- the studio


def test_the_verdict_stands_first_with_figure_table_and_pairs(world: World) -> None:
    text = world.server.client.get(f"/compare/{world.refined}", headers=PAGE).text
    assert re.search(r"<h2 class=\"verdict good\".*▲.*Better: the rewrite wins", text, re.DOTALL)
    assert text.index("Better: the rewrite wins") < text.index('<figure class="interval"') < text.index("worst for B")
    assert re.search(r'<svg[^>]* role="img" aria-label="warmth, judge: gain of B \+[^"]*zero is outside', text)
    assert "<ins>" in text
    assert "Use prompt" in text
    assert "Vote blind" in text
    assert 'class="numbers-table"' in text
    assert 'class="tree"' in text


@pytest.mark.parametrize("study", ["compared", "grid", "refined", "stopped"])
def test_no_page_holds_anything_that_the_policy_forbids(world: World, study: str) -> None:
    text = world.server.client.get(f"/compare/{world.ids[study]}", headers=PAGE).text
    assert " style=" not in text
    assert "<script>" not in text
    assert not re.search(r"\son\w+=", text)


def test_a_stopped_one_says_not_verified_and_offers_to_go_on(world: World) -> None:
    text = world.server.client.get(f"/compare/{world.stopped}", headers=PAGE).text
    assert "Not verified" in text
    assert f'action="/ui/compare/{world.stopped}/continue"' in text


def test_a_comparison_is_gone_on_with_as_it_was_asked(world: World) -> None:
    form = {"new": "ab", "a_prompt": "a zzslow cat", "b_prompt": "a dog", "n": "11"}
    began = world.server.client.post("/ui/compare", data=form, headers=HTMX).headers["hx-redirect"]
    first = world.server.wait(began.rpartition("/")[2])
    Ties(world.server.service.settings.data).tie(first.id, world.grid)  # as the worker would
    answer = world.server.client.post(f"/ui/compare/{world.grid}/continue", headers=HTMX)
    job = world.server.wait(answer.headers["hx-redirect"].rpartition("/")[2])
    assert job.body == first.body
    answer = world.server.client.post(f"/ui/compare/{world.compared}/continue", headers=HTMX)
    assert answer.status_code == 404
    assert "begin it anew" in answer.text


def test_a_study_that_is_gone_on_with_is_a_job_with_a_page(world: World) -> None:
    answer = world.server.client.post(f"/ui/compare/{world.stopped}/continue", headers=HTMX)
    assert answer.status_code == 204
    where = answer.headers["hx-redirect"]
    assert re.fullmatch(r"/compare/job/\w{14}", where)
    job = world.server.wait(where.rpartition("/")[2])
    assert job.body["resume"] == world.stopped
    assert world.server.client.get(where, headers=PAGE).status_code == 200


HEADLINES = {
    "better": "Better: B wins over A",
    "worse": "Worse: A wins over B",
    "traded off": "Traded off: B scores higher, but loses diversity",
    "no evidence": "No evidence that A and B differ",
}


@pytest.mark.parametrize(
    ("outcome", "effect"), [("better", 1.5), ("worse", -1.5), ("traded off", 1.5), ("no evidence", 0.0)]
)
def test_each_outcome_has_its_sign_its_word_and_its_headline(world: World, outcome: str, effect: float) -> None:
    rng = np.random.default_rng(5)
    paired = drawn(rng, 40, judge=effect, diversity=-3.0 if outcome == "traded off" else 0.2 * effect)
    verdict = judge(paired, judges=("judge",), alignment=None, diversity="diversity", looks=Looks.once(40))
    assert verdict.outcome == outcome
    plain = StudyView.model_validate(world.server.client.get(f"/api/v1/studies/{world.compared}").json())
    side = plain.sides[0].model_copy(update={"verdict": verdict})
    found = shown(plain.model_copy(update={"sides": (side,), "outcome": outcome}))
    assert found.sign in "▲▼⇄○"
    assert found.judged[0].headline == HEADLINES[outcome]
    assert bool(found.judged[0].more) == (outcome == "no evidence")
    bar = found.judged[0].bars[0]
    assert bar.low is not None
    assert bar.high is not None
    assert bar.low <= bar.gain <= bar.high
    assert (bar.low <= bar.zero <= bar.high) == (outcome == "no evidence")


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ({"new": "refine", "prompt": "a fox", "budget": "60"}, "refine"),
        ({"new": "refine", "prompt": "a fox", "budget": "own", "budget_own": "10min"}, "refine"),
        ({"new": "ab", "a_prompt": "a fox", "b_prompt": "a red fox", "n": "12"}, "compare"),
        ({"new": "ab", "a_prompt": "a fox", "b_steps": "4"}, "compare"),
        ({"new": "grid", "prompt": "a fox", "axis_1": "steps", "values_1": "2, 4", "axis_2": "guidance"}, "compare"),
    ],
)
def test_a_form_begins_a_study(world: World, form: dict[str, str], kind: str) -> None:
    answer = world.server.client.post("/ui/compare", data=form, headers=HTMX)
    assert answer.status_code == 204, answer.text
    job = world.server.wait(answer.headers["hx-redirect"].rpartition("/")[2])
    assert job.kind == kind
    match form:
        case {"budget_own": _}:
            assert job.body["seconds"] == 600.0
        case {"b_steps": _}:
            arms = job.body["arms"]
            assert isinstance(arms, list)
            assert [each["request"] for each in arms if isinstance(each, dict)] == [
                {"prompt": "a fox"},
                {"prompt": "a fox", "steps": 4},
            ]
        case {"new": "grid"}:
            assert job.body["judged"] is False
            assert json.dumps(job.body["arms"]).count('"steps"') == 2


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"new": "refine", "prompt": "a fox", "budget": "own", "budget_own": "5"}, "too small for a verdict"),
        ({"new": "refine", "prompt": "a fox", "budget": "own", "budget_own": "many"}, "is no budget"),
        ({"new": "ab", "a_prompt": "a fox"}, "nothing to compare"),
        ({"new": "ab", "a_prompt": "a fox", "b_prompt": "x", "n": "ten"}, "n:"),
        ({"new": "grid", "prompt": "a fox", "axis_1": "n", "values_1": "1,2"}, "no setting"),
        ({"new": "grid", "prompt": "a fox", "axis_1": "steps", "values_1": "x,y"}, "steps"),
        ({"new": "refine", "prompt": "a fox", "model": "/etc/passwd"}, "is no name"),
    ],
)
def test_what_is_wrong_is_said_before_it_begins_and_when_it_is_sent(
    world: World, form: dict[str, str], said: str
) -> None:
    told = world.server.client.get("/ui/compare/cost", params=form, headers=HTMX)
    assert told.status_code == 200
    assert said in told.text.replace("&#39;", "'")
    if "too small" not in said:  # that the worker says, who knows the judges
        answer = world.server.client.post("/ui/compare", data=form, headers=HTMX)
        assert answer.status_code == 422
        assert said in answer.text.replace("&#39;", "'")


def test_the_cost_comes_before_the_click(world: World) -> None:
    form = {"new": "refine", "prompt": "a fox", "budget": "160"}
    text = world.server.client.get("/ui/compare/cost", params=form).text
    assert "160 pictures" in text
    assert "fresh seeds" in text
    form = {"new": "ab", "a_prompt": "a fox", "b_prompt": "a red fox", "prompts": "a cat\na dog\n\na cat"}
    assert "16 pictures" in world.server.client.get("/ui/compare/cost", params=form).text  # 2 sides, 2 prompts, 4 seeds


def test_a_form_is_filled_from_a_picture_and_from_a_study(world: World) -> None:
    picture = world.server.picture("a purple owl")
    text = world.server.client.get(f"/compare?new=refine&picture={picture}", headers=PAGE).text
    assert "a purple owl</textarea>" in text
    text = world.server.client.get(f"/compare?again={world.compared}&n=40", headers=PAGE).text
    seeds = world.server.client.get(f"/api/v1/studies/{world.compared}").json()["sides"][0]["verdict"]["seeds"]
    assert f'name="seed" value="{max(seeds) + 1}"' in text  # fresh ones
    assert 'name="n" value="40"' in text


def test_axes_are_recognised_where_names_are_all_combinations() -> None:
    assert axes(["steps 2, guidance 1", "steps 2, guidance 4", "steps 4, guidance 1", "steps 4, guidance 4"]) == (
        ("steps 2", "steps 4"),
        ("guidance 1", "guidance 4"),
    )
    assert axes(["steps 2", "steps 4"]) == ((), ())
    assert axes(["a, b", "c, d"]) == ((), ())


# --- models


def test_models_say_what_fits_and_offer_what_is_here(world: World) -> None:
    text = world.server.client.get("/models", headers=PAGE).text
    assert 'href="/?model=pocket"' in text
    assert "of disk free" in text
    assert "Offline" in text
    assert 'aria-disabled="true"' in text
    assert 'href="/models/get' not in text  # nothing can be fetched now
    assert "limner models link" in text


def test_models_are_found_by_words_and_by_their_name_on_the_hub(world: World) -> None:
    client = world.server.client
    found = client.get("/ui/models", params={"find": "turbo"}, headers=HTMX).text
    assert "sdxl-turbo" in found
    assert "pixart" not in re.sub(r"<[^>]+>", " ", found)
    assert "someone/their-model" in client.get("/ui/models", params={"find": "someone/their-model"}).text
    assert "holds" in client.get("/ui/models", params={"find": "zzz"}).text
    assert client.get("/ui/models/hub", params={"find": "turbo"}).status_code == 409  # offline


def test_an_offer_says_size_licence_and_why_it_cannot_be_had(world: World) -> None:
    text = world.server.client.get("/ui/models/get", params={"name": "sdxl"}, headers=HTMX).text
    assert "GB" in text
    assert "OpenRAIL" in text
    assert "offline" in text
    assert "<form" not in text
    for name in ("/etc/passwd", "../x", "C:\\x", "nothing-of-the-kind"):
        answer = world.server.client.get("/ui/models/get", params={"name": name}, headers=HTMX)
        assert answer.status_code == 422, name
    answer = world.server.client.post("/ui/models/get", data={"name": "sdxl"}, headers=HTMX)
    assert answer.status_code == 409
