"""Policy without tensors: who goes into the next call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from limner.engine.scheduler import Scheduler, Waiting


def row(
    job: str, order: int, *, bucket: str = "unet", position: int = 0, cost: float = 1.0, alone: bool = False
) -> Waiting:
    return Waiting(job, order, position, bucket, cost, alone)


def pair(job: str, order: int, **more: object) -> list[Waiting]:
    return [row(job, order, position=p, **more) for p in (0, 1)]  # type: ignore[arg-type]


def test_nothing_waits_nothing_is_picked() -> None:
    assert Scheduler().pick([]) == []


def test_a_job_alone_shares_with_nobody() -> None:
    waiting = [*pair("a", 0, alone=True), *pair("b", 1, alone=True)]
    assert {w.job for w in Scheduler().pick(waiting)} == {"a"}


def test_jobs_alone_finish_in_order_of_arrival() -> None:
    scheduler = Scheduler()
    waiting = [*pair("b", 1, alone=True), *pair("a", 0, alone=True)]
    assert all({w.job for w in scheduler.pick(waiting)} == {"a"} for _ in range(5))


def test_sharing_jobs_of_one_bucket_share_the_call() -> None:
    chosen = Scheduler().pick([*pair("a", 0), *pair("b", 1), row("c", 2, bucket="vae")])
    assert [(w.job, w.position) for w in chosen] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_guidance_is_not_torn_by_the_row_limit() -> None:
    chosen = Scheduler(most=3).pick([*pair("a", 0), *pair("b", 1)])
    assert [w.job for w in chosen] == ["a", "a"]


def test_the_budget_bounds_a_call_but_the_oldest_always_goes() -> None:
    scheduler = Scheduler(budget=5)
    assert {w.job for w in scheduler.pick([*pair("a", 0, cost=4), *pair("b", 1, cost=1)])} == {"a"}
    assert {w.job for w in scheduler.pick([*pair("a", 0, cost=1), *pair("b", 1, cost=1), *pair("c", 2)])} == {"a", "b"}


def test_the_lane_served_least_goes_next() -> None:
    scheduler = Scheduler()
    big, small = pair("a", 0, bucket="1024", cost=10), pair("b", 1, bucket="256", cost=1)
    served = [scheduler.pick([*big, *small])[0].job for _ in range(22)]
    assert served.count("b") >= 9 * served.count("a")


def test_a_newcomer_does_not_starve_who_was_served_long() -> None:
    scheduler = Scheduler()
    for _ in range(100):
        scheduler.pick(pair("a", 0, bucket="old"))
    both = [*pair("a", 0, bucket="old"), *pair("b", 1, bucket="new")]
    served = [scheduler.pick(both)[0].job for _ in range(4)]
    assert served.count("a") == 2


waiting_rows = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.sampled_from("xyz"), st.floats(0.1, 9), st.booleans()),
    max_size=30,
)


@given(waiting_rows, st.floats(0.1, 40), st.integers(1, 9))
def test_a_call_holds_one_bucket_and_never_mixes_a_job_alone(
    raw: list[tuple[int, int, str, float, bool]], budget: float, most: int
) -> None:
    alone = {order: flag for order, _, _, _, flag in raw}
    waiting = [row(f"j{o}", o, bucket=b, position=p, cost=c, alone=alone[o]) for o, p, b, c, _ in raw]
    chosen = Scheduler(budget, most).pick(waiting)
    assert bool(chosen) == bool(waiting)
    assert len({w.bucket for w in chosen}) <= 1
    if any(w.alone for w in chosen):
        assert len({w.job for w in chosen}) == 1
    jobs = {w.job for w in chosen}
    if len(jobs) > 1:
        assert sum(w.cost for w in chosen) <= budget
        assert len(chosen) <= most


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.floats(0.5, 4)), min_size=1, max_size=6))
def test_everybody_is_served(jobs: list[tuple[str, float]]) -> None:
    scheduler = Scheduler(budget=3, most=4)
    left = {f"j{i}": 3 for i in range(len(jobs))}
    for _ in range(3 * len(jobs) + 1):
        waiting = [row(f"j{i}", i, bucket=b, cost=c) for i, (b, c) in enumerate(jobs) if left[f"j{i}"]]
        for w in scheduler.pick(waiting):
            left[w.job] -= 1
    assert not any(left.values())
