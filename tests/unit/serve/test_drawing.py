"""The worker's side of drawing: what is still missing, a few at a time, stopped at a step, shown now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from limner.config import Settings
from limner.engine.ticket import Ticket
from limner.errors import Cancelled, GenerationError, Refused
from limner.serve.jobs import Ask, TidingType
from limner.serve.work import draw
from limner.serve.work.draw import MOST, missing, portions, run
from limner.serve.work.glimpses import SHARE, Glimpses
from limner.serve.work.tell import Work
from limner.session import Session
from limner.types import Drawn, Plan, Request, Seed

T = TypeVar("T")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    settings = Settings.load(tmp_path_factory.mktemp("home"), env={})
    with Session(settings=settings, batching="shared", offline=True) as session:
        session._backend = Glimpses(session._backend)
        yield session


@pytest.fixture(scope="module")
def plan(session: Session) -> Plan:
    return session.plan(Request.of(prompt="a fox", seed=5, steps=2))[0]


class Heard:
    """What a job told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, JsonValue], bytes]] = []
        self.then: Callable[[str, Mapping[str, JsonValue]], None] = lambda kind, data: None

    def __call__(self, kind: TidingType, data: Mapping[str, JsonValue], blob: bytes) -> None:
        self.told.append((kind, data, blob))
        self.then(kind, data)

    def of(self, kind: str) -> list[Mapping[str, JsonValue]]:
        return [data for each, data, _ in self.told if each == kind]


def work(session: Session, heard: Heard, made: Mapping[int, str] | None = None, **fields: object) -> Work:
    previews = bool(fields.pop("previews", False))
    plans = session.plan(Request.of(prompt="a fox", **{"seed": 5, "steps": 2, **fields}))
    ask = Ask(kind="draw", body={}, plans=tuple(each.model_dump(mode="json") for each in plans), previews=previews)
    return Work("job", ask, made or {}, heard)


def pictures(plans: list[Plan]) -> list[tuple[int, int]]:
    """(place, seed) of each."""
    return [(plan.first + k, seed.seed) for plan in plans for k, seed in enumerate(plan.seeds)]


@given(n=st.integers(1, 40), made=st.sets(st.integers(0, 39)), seconds=st.sampled_from([None, 0.01, 1.0, 4.0, 100.0]))
def test_just_what_is_missing_is_drawn_in_order_a_few_at_a_time(
    plan: Plan, n: int, made: set[int], seconds: float | None
) -> None:
    seeds = tuple(Seed(seed=100 + k) for k in range(n))
    estimate = plan.estimate.model_copy(update={"seconds_per_image": seconds})
    whole = plan.model_copy(update={"seeds": seeds, "estimate": estimate})
    parts = list(portions(missing([whole], dict.fromkeys(made, "id"))))
    assert pictures(parts) == [(k, 100 + k) for k in range(n) if k not in made]
    assert all(1 <= len(part.seeds) <= MOST for part in parts)
    if seconds == 100.0:
        assert all(len(part.seeds) == 1 for part in parts)
    keys = dict(zip(range(n), map(whole.image_key, range(n)), strict=True))
    assert all(part.image_key(k) == keys[part.first + k] for part in parts for k in range(len(part.seeds)))


def test_every_picture_is_made_once_with_its_own_seed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "MOST", 2)
    heard = Heard()
    run(session, work(session, heard, {1: "made before"}, n=6))
    made = {int(str(data["index"])): str(data["picture"]) for data in heard.of("made")}
    assert sorted(made) == [0, 2, 3, 4, 5]
    assert [session.library.get(made[k]).seed for k in sorted(made)] == [5, 7, 8, 9, 10]


def test_nothing_missing_is_nothing_to_do(session: Session) -> None:
    heard = Heard()
    run(session, work(session, heard, {0: "a", 1: "b"}, n=2))
    assert heard.told == []


def test_a_stopped_job_says_so_and_keeps_what_it_made(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "MOST", 1)
    heard = Heard()
    job = work(session, heard, n=12)
    heard.then = lambda kind, data: job.stop() if kind == "made" else None
    with pytest.raises(Cancelled):
        run(session, job)
    assert 1 <= len(heard.of("made")) < 12


def test_a_job_stopped_before_it_began_draws_nothing(session: Session) -> None:
    heard = Heard()
    job = work(session, heard, n=2)
    job.stop()
    with pytest.raises(Cancelled):
        run(session, job)
    assert heard.of("made") == []


@pytest.mark.parametrize(("error", "goes_on"), [(GenerationError("these words"), True), (OSError("disk"), False)])
def test_what_one_lane_meets_ends_the_other_only_where_it_is_of_all(
    session: Session, monkeypatch: pytest.MonkeyPatch, error: Exception, goes_on: bool
) -> None:
    monkeypatch.setattr(draw, "MOST", 2)
    heard, finish = Heard(), session._finish

    def refused(plan: Plan, drawn: Drawn) -> Future[object]:
        if plan.first == 0:
            failed: Future[object] = Future()
            failed.set_exception(error)
            return failed
        return finish(plan, drawn)  # type: ignore[return-value]

    monkeypatch.setattr(session, "_finish", refused)
    with pytest.raises(type(error)):
        run(session, work(session, heard, n=8))
    assert (len(heard.of("made")) == 6) is goes_on


def test_a_large_job_does_not_keep_a_small_one_waiting_to_its_end(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "MOST", 1)
    large, small, begun = Heard(), Heard(), threading.Event()
    large.then = lambda kind, data: begun.set() if kind == "made" else None
    job = work(session, large, n=12)
    thread = threading.Thread(target=run, args=(session, job))
    thread.start()
    assert begun.wait(60)
    run(session, work(session, small, seed=77))
    assert len(large.of("made")) < 12
    thread.join(60)
    assert len(large.of("made")) == 12


def test_a_refused_picture_leaves_the_others_and_is_said(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    heard, finish = Heard(), session._finish

    def refused(plan: Plan, drawn: Drawn) -> Future[object]:
        if drawn.index == 1:
            failed: Future[object] = Future()
            failed.set_exception(Refused("no", category="sexual", rule="test"))
            return failed
        return finish(plan, drawn)  # type: ignore[return-value]

    monkeypatch.setattr(session, "_finish", refused)
    with pytest.raises(Refused):
        run(session, work(session, heard, n=3))
    assert sorted(data["index"] for data in heard.of("made")) == [0, 2]  # type: ignore[type-var]
    assert [data["code"] for data in heard.of("warned")] == ["refused"]


def test_previews_come_where_they_are_wanted_and_not_at_every_step(session: Session) -> None:
    shown, plain = Heard(), Heard()
    run(session, work(session, shown, previews=True, steps=20))
    run(session, work(session, plain, steps=4))
    blobs = [blob for kind, _, blob in shown.told if kind == "step"]
    assert len(blobs) == 20
    assert 1 <= sum(blob.startswith(b"RIFF") for blob in blobs) < 20
    assert not any(blob for _, _, blob in plain.told)


class Engine:
    """A backend whose engine is stepped by hand; a step takes a second, or ``slow`` where it is shown."""

    def __init__(self, slow: float) -> None:
        self.slow, self.now, self.work = slow, 0.0, list[Callable[[], object]]()
        self.tickets: list[Ticket] = []
        self.shown: list[Ticket] = []

    def submit(self, plan: Plan, *, previews: bool = False) -> Ticket:
        assert not previews
        self.tickets.append(Ticket(plan, previews, lambda name: None))
        return self.tickets[-1]

    def compute(self, call: Callable[[], T]) -> Future[T]:
        self.work.append(call)
        return Future()

    def close(self) -> None: ...

    def step(self) -> None:
        if self.work:
            self.work.pop(0)()
        shown = [ticket for ticket in self.tickets if ticket.previews]
        self.shown += shown
        self.now += self.slow if shown else 1.0


def test_shown_steps_take_a_bounded_share_of_the_time_and_go_round(plan: Plan) -> None:
    engine = Engine(slow=3.0)
    glimpses = Glimpses(engine, clock=lambda: engine.now)
    tickets = [glimpses.submit(plan, previews=wanted) for wanted in (True, True, False)]
    for _ in range(400):
        engine.step()
        glimpses.glance()
    spent = len(engine.shown) * 3.0
    assert 0.5 / (1 + SHARE) < spent / engine.now <= 1.2 / (1 + SHARE)
    counts = [engine.shown.count(ticket) for ticket in tickets]
    assert abs(counts[0] - counts[1]) <= 1
    assert counts[2] == 0


def test_tickets_that_are_over_are_let_go(plan: Plan) -> None:
    engine = Engine(slow=1.0)
    glimpses = Glimpses(engine, clock=lambda: engine.now)
    for _ in range(50):
        glimpses.submit(plan, previews=True)
        engine.tickets.clear()
        engine.shown.clear()
        for _ in range(20):
            engine.step()
            glimpses.glance()
    assert len(glimpses._wanted) <= 2
