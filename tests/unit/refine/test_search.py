"""Search: shares of strategies, what is not admitted, halving, the floor, and strategies that misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from limner.errors import EvidenceError, GenerationError, InvalidRequest
from limner.refine.arms import Scored, Trial
from limner.refine.asking import Ask, World, answered
from limner.refine.halving import SEEDS, affordable, ladder, pictures
from limner.refine.ranking import standings
from limner.refine.search import Search
from limner.refine.strategy import USER, Candidate, Probe, Proposals, Task
from limner.types import Request, Score
from tests.unit.refine.gauss import SEARCH, Gauss, Numbered, design_of, search_of, task_of


class Other(Numbered):
    name = "other"

    def propose(self, task: Task, rng: Random) -> Proposals:
        yield from ()
        return [Candidate(request=Request(prompt=f"other {k}"), edit=f"other {k}") for k in range(20)]


class Repeating(Numbered):
    name = "repeating"

    def propose(self, task: Task, rng: Random) -> Proposals:
        yield from ()
        return [Candidate(request=Request(prompt="words"), edit="nothing")] * 5


class Idle(Numbered):
    name = "idle"

    def propose(self, task: Task, rng: Random) -> Proposals:
        yield from ()
        raise InvalidRequest("there is nothing to do")


class Greedy(Numbered):
    """Asks to see more than its share."""

    name = "greedy"

    def propose(self, task: Task, rng: Random) -> Proposals:
        for k in range(task.slots + 1):
            yield Probe(trials=(Trial(request=Request(prompt=f"look {k}"), seed=task.seeds[0]),))
        return []


class Peeping(Numbered):
    """Asks for a seed of the verdict."""

    name = "peeping"

    def propose(self, task: Task, rng: Random) -> Proposals:
        yield Probe(trials=(Trial(request=task.request, seed=task.seeds[0] + 100_000),))
        return []


def pool(search: Search, gauss: Gauss) -> list[str]:
    answered(search.run(), gauss.answer)
    return [each.strategy for each in search.pool.values()]


def test_every_strategy_has_its_share() -> None:
    assert (
        sorted(pool(search_of(design_of(100), [Numbered(), Other()]), Gauss(0))) == ["other"] * 4 + ["paraphrase"] * 4
    )


def test_what_a_strategy_leaves_goes_to_the_others_and_is_told() -> None:
    search = search_of(design_of(100), [Numbered(), Idle(), Other()])
    assert sorted(pool(search, Gauss(0))) == ["other"] * 5 + ["paraphrase"] * 3
    assert search.dropped == ["idle proposed nothing: there is nothing to do"]


def test_identical_prompts_are_dropped_and_told() -> None:
    search = search_of(design_of(100), [Numbered(), Repeating(), Other()])
    assert "repeating" not in pool(search, Gauss(0))
    assert "draws the very same pictures as your own words" in search.dropped[0]


def test_nothing_but_the_same_words_is_an_error_before_any_picture() -> None:
    gauss = Gauss(0)
    with pytest.raises(InvalidRequest, match="no strategy found another way"):
        answered(search_of(design_of(60), [Repeating()]).run(), gauss.answer)
    assert not gauss.asked


@pytest.mark.parametrize("strategy", [Greedy(), Peeping()])
def test_a_strategy_cannot_draw_what_nobody_planned(strategy: Numbered) -> None:
    with pytest.raises(GenerationError, match=r"the strategy \w+ asked"):
        answered(search_of(design_of(60), [strategy]).run(), Gauss(0).answer)


def test_the_best_go_on_and_the_true_one_wins() -> None:
    design = design_of(160)
    search = search_of(design)
    finalists = answered(search.run(), Gauss(5, {"way 7": 3.0}).answer)
    assert finalists[0].request.prompt == "way 7"
    assert [len(round_) for round_ in search.history] == [rung.candidates for rung in design.rungs]
    assert len(finalists) <= design.finalists == 2


def test_no_finalist_where_all_stand_below_the_users_words() -> None:
    gains = {f"way {k}": -3.0 for k in range(1, 20)}
    search = search_of(design_of(60))
    assert answered(search.run(), Gauss(1, gains).answer) == ()
    assert search.best() is None


def test_scorers_without_any_value_stop_the_search_at_the_first_rung() -> None:
    def answer(ask: Ask) -> list[Scored]:
        return [Scored(trial, "", {}, failures={SEARCH: "it answered nan"}) for trial in ask.trials]

    with pytest.raises(EvidenceError, match="it answered nan"):
        answered(search_of(design_of(60)).run(), answer)


def test_a_person_strikes_rewrites_out() -> None:
    design = design_of(60)

    def choose(pool: Sequence[Candidate]) -> Sequence[Candidate]:
        return pool[:1]

    search = Search(design, task_of(design), [Numbered()], World(lambda request: request.prompt, choose=choose))
    answered(search.run(), Gauss(0).answer)
    assert {each.candidate for round_ in search.history for each in round_} == {"r1"}


def test_search_is_the_same_again() -> None:
    first, second = (search_of(design_of(100), [Numbered(), Other()]) for _ in range(2))
    for search in (first, second):
        answered(search.run(), Gauss(2).answer)
    assert first.history == second.history


def scored(*values: float | None) -> dict[int, Scored]:
    trial = Trial(request=Request(prompt="x"), seed=0)
    return {
        seed: Scored(
            trial, "", {} if v is None else {"m": Score(scorer="m", revision="1", value=v, scale="", domain="any")}
        )
        for seed, v in enumerate(values)
    }


def test_gains_are_over_the_seeds_that_both_have() -> None:
    (standing,) = standings(scored(1, 2, None), {"r1": scored(2, None, 9)}, {"m": 1}, floor=None, margin=0.5)
    assert standing.gains == {"m": 1.0}
    assert standing.ahead


def test_less_is_better_where_the_scorer_says_so() -> None:
    first, second = standings(scored(5), {"r1": scored(9), "r2": scored(1)}, {"m": -1}, floor=None, margin=0.5)
    assert (first.candidate, first.ahead, second.ahead) == ("r2", True, False)


def test_who_strays_from_the_words_is_out() -> None:
    pool = {"r1": scored(1.0, 1.1, 0.9, 1.0), "r2": scored(-5.0, -5.1, -4.9, -5.0)}
    by_name = {
        each.candidate: each for each in standings(scored(1, 1.1, 1, 0.9), pool, {"m": 1}, floor="m", margin=0.5)
    }
    assert by_name["r2"].out == "strays from your words"
    assert not by_name["r1"].out


def test_a_candidate_without_value_is_out_and_says_why() -> None:
    found = standings(scored(1), {"r1": scored(None), "r2": scored(2)}, {"m": 1}, floor=None, margin=0.5)
    assert [(each.candidate, each.out) for each in found] == [("r2", ""), ("r1", "no value by m")]


def test_sixteen_candidates_cost_what_the_paper_plan_says() -> None:
    rungs = ladder(16)
    assert [(rung.candidates, rung.seeds) for rung in rungs] == list(zip((16, 8, 4, 2), SEEDS, strict=True))
    assert pictures(rungs) == 96


@pytest.mark.parametrize("budget", [5, 6, 17, 36, 60, 96, 500])
def test_a_ladder_is_never_dearer_than_its_budget(budget: int) -> None:
    rungs = affordable(budget)
    assert bool(rungs) == (budget >= 6)
    assert not rungs or pictures(rungs) <= budget


def test_the_user_is_no_candidate() -> None:
    search = search_of(design_of(60))
    answered(search.run(), Gauss(0).answer)
    assert USER not in search.pool
    assert len(search.scored(USER)) == search.design.rungs[-1].seeds
