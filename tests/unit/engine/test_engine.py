"""Jobs join, share calls, fail alone, are cancelled, and leave."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from limner.engine.runner import TorchRunner
from limner.engine.scheduler import Scheduler
from limner.errors import Cancelled, GenerationError, NonFinite, OutOfMemory
from limner.sampling.course import Call, Course, Eval, Note, Runner, Show, Tick, Weights
from tests.unit.engine.fakes import NET, Bench, FakeFamily, doubling, net, values


def test_requests_with_different_steps_share_calls_and_leave_as_they_finish() -> None:
    bench = Bench(FakeFamily())
    bench.add("short", doubling(1, 2))
    bench.add("long", doubling(3, 4))
    bench.run()
    assert values(bench.finished) == {"short": 4.0, "long": 48.0}
    assert bench.family.batches == [2, 2, 1, 1]
    assert [job.id for job in bench.finished] == ["short", "long"]


def test_a_job_joins_while_others_run() -> None:
    bench = Bench(FakeFamily())
    bench.add("first", doubling(1, 4))
    bench.run(at=lambda step: bench.add("late", doubling(1, 1)) if step == 2 else None)
    assert bench.family.batches == [1, 1, 2, 1]
    assert values(bench.finished) == {"late": 2.0, "first": 16.0}


def test_jobs_alone_never_share() -> None:
    bench = Bench(FakeFamily())
    for name in "ab":
        bench.add(name, doubling(1, 3, rows=2), alone=True)
    bench.run()
    assert bench.family.batches == [2] * 6
    assert [job.id for job in bench.finished] == ["a", "b"]


def test_cancel_takes_effect_at_the_next_step() -> None:
    bench = Bench(FakeFamily())
    bench.add("a", doubling(1, 50))
    bench.add("b", doubling(1, 5))
    bench.run(at=lambda step: bench.engine.cancel("a") if step == 3 else None)
    assert isinstance(bench.job("a").error, Cancelled)
    assert max(step for name, step in bench.shown if name == "a") == 3
    assert values(bench.finished) == {"b": 32.0}


def test_non_finite_rows_fail_only_their_own_job() -> None:
    bench = Bench(FakeFamily(poison=7.0))
    bench.add("good", doubling(1, 3))
    bench.add("bad", doubling(7, 3))
    bench.run()
    assert isinstance(bench.job("bad").error, NonFinite)
    assert values(bench.finished) == {"good": 8.0}


def test_a_course_may_fall_back_after_non_finite() -> None:
    def falling_back() -> Course:
        try:
            yield Eval((net(7),))
        except NonFinite:
            yield Note("fallback", "went on in float32")
        (answer,) = yield Eval((net(1, weights=Weights("fake@cpu", "net", "float64")),))
        return answer

    bench = Bench(FakeFamily(poison=7.0))
    bench.add("a", falling_back())
    bench.run()
    assert values(bench.finished) == {"a": 2.0}
    assert [notice.code for notice in bench.job("a").notices] == ["fallback"]
    assert bench.family.loads == ["float32", "float64"]


def test_out_of_memory_splits_the_call_and_says_so() -> None:
    bench = Bench(FakeFamily(limit=2))
    for i in range(5):
        bench.add(f"j{i}", doubling(i, 1))
    bench.run()
    assert values(bench.finished) == {f"j{i}": 2.0 * i for i in range(5)}
    assert all(n.code == "out-of-memory" for job in bench.finished for n in job.notices)
    assert bench.finished[0].notices


def test_one_row_that_does_not_fit_fails_and_the_next_job_works() -> None:
    bench = Bench(FakeFamily(limit=0))
    bench.add("big", doubling(1, 2))
    bench.run()
    assert isinstance(bench.job("big").error, OutOfMemory)
    bench.family.limit = 9
    bench.add("next", doubling(1, 2))
    bench.run()
    assert values(bench.finished) == {"next": 4.0}


def test_a_fault_in_a_course_is_one_error_and_spares_the_others() -> None:
    def faulty() -> Course:
        yield Eval((net(1),))
        raise ZeroDivisionError("oops")

    bench = Bench(FakeFamily())
    bench.add("faulty", faulty())
    bench.add("good", doubling(1, 3))
    bench.run()
    error = bench.job("faulty").error
    assert isinstance(error, GenerationError)
    assert "ZeroDivisionError: oops" in str(error)
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert values(bench.finished) == {"good": 8.0}


def test_jobs_alone_begin_one_after_another() -> None:
    """A thousand pictures asked for at once hold the memory of one."""
    began: list[int] = []

    def noting(k: int) -> Course:
        began.append(k)
        yield from doubling(k, 2)
        return torch.zeros(1)

    bench = Bench(FakeFamily())
    for k in range(5):
        bench.add(f"j{k}", noting(k), alone=True)
    bench.engine.step()
    assert began == [0]
    bench.engine.cancel("j3")
    bench.run()
    assert began == [0, 1, 2, 4]
    assert isinstance(bench.job("j3").error, Cancelled)


def test_loading_is_not_counted_as_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    family = FakeFamily()
    slow = iter([10.0, 30.0])
    monkeypatch.setattr(TorchRunner, "take_loading", lambda self: next(slow, 0.0))
    bench = Bench(family)
    bench.add("a", doubling(1, 2))
    bench.run()
    assert bench.job("a").seconds["load"] == 40.0
    assert bench.job("a").seconds["net"] < 0


def encoding(key: str) -> Course:
    (answer,) = yield Eval((net(5, key=key),))
    yield Show(1, 1)
    return answer


def test_answers_with_a_key_are_remembered_but_not_across_batching() -> None:
    bench = Bench(FakeFamily())
    for name, key, alone in (("a", "x", True), ("b", "x", True), ("c", "y", True), ("d", "x", False)):
        bench.add(name, encoding(key), alone=alone)
        bench.run()
    assert bench.family.batches == [1, 1, 1]
    assert set(values(bench.finished).values()) == {10.0}


def test_a_call_is_cancelled_at_its_next_tick() -> None:
    ticks = []

    def tiled() -> Course:
        def run(runner: object, tick: object) -> torch.Tensor:
            for i in range(10):
                assert callable(tick)
                tick()
                ticks.append(i)
                if i == 2:
                    bench.engine.cancel("call")
            return torch.zeros(1)

        (answer,) = yield Call(NET, 1.0, run)
        return answer

    bench = Bench(FakeFamily())
    bench.add("call", tiled())
    bench.run()
    assert ticks == [0, 1, 2]
    assert isinstance(bench.job("call").error, Cancelled)


def test_a_row_budget_keeps_calls_small() -> None:
    bench = Bench(FakeFamily(), Scheduler(budget=2))
    for i in range(4):
        bench.add(f"j{i}", doubling(1, 2))
    bench.run()
    assert max(bench.family.batches) == 2
    assert len(values(bench.finished)) == 4


def test_weights_least_recently_used_leave_first() -> None:
    bench = Bench(FakeFamily())
    bench.runner.residency.budget = lambda device: 3 * 8  # of which two thirds are for weights of unknown work
    for dtype in ("a", "b", "a", "c", "a", "b"):
        bench.runner.forward([net(1, weights=Weights("fake@cpu", "net", dtype))])
    assert bench.family.loads == ["a", "b", "c", "b"]


def test_a_call_tells_its_progress_and_notes_as_they_come() -> None:
    seen: list[list[tuple[str, int]]] = []

    def run(runner: object, tick: Tick) -> torch.Tensor:
        for step in (1, 2):
            tick(Show(step, 2))
            seen.append(list(bench.shown))
        tick(Note("slow", "it took its time"))
        return torch.zeros(1)

    bench = Bench(FakeFamily())
    bench.add("a", calling(run))
    bench.run()
    assert seen == [[("a", 1)], [("a", 1), ("a", 2)]], "told at once, not when the call is over"
    assert [notice.code for notice in bench.job("a").notices] == ["slow"]


def test_a_call_stops_where_somebody_wants_it_to_while_the_engine_is_inside() -> None:
    wanted = False

    def run(runner: object, tick: Tick) -> torch.Tensor:
        nonlocal wanted
        tick(Show(1, 9))
        wanted = True  # another thread's doing, in life
        tick(Show(2, 9))
        raise AssertionError("went on")

    bench = Bench(FakeFamily())
    bench.add("a", calling(run), stopped=lambda: wanted)
    bench.run()
    assert isinstance(bench.job("a").error, Cancelled)
    assert bench.shown == [("a", 1)]


def test_loading_inside_a_call_is_not_counted_as_drawing() -> None:
    def run(runner: Runner, tick: Tick) -> torch.Tensor:
        runner.module(NET)
        return torch.zeros(1)

    family = FakeFamily()
    load = family.load

    def slow(*args: Any) -> torch.nn.Module:
        time.sleep(0.05)
        return load(*args)

    family.load = slow  # type: ignore[method-assign]
    bench = Bench(family)
    bench.add("a", calling(run))
    bench.run()
    seconds = bench.job("a").seconds
    assert seconds["load"] >= 0.05
    assert seconds["net"] < seconds["load"]


def calling(run: Callable[[Runner, Tick], torch.Tensor]) -> Course:
    (answer,) = yield Call(NET, 1.0, run)
    return answer
