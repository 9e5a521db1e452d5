"""The queue against a model of it, after every restart of its file; and what a disk or an older file does to it."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from limner.errors import LibraryError, StorageError
from limner.serve.jobs import Ask, Trouble
from limner.serve.queue import DEATHS, STARTS, Queue
from limner.types import Notice


def ask(n: int = 1, **fields: object) -> Ask:
    return Ask.model_validate({"kind": "draw", "body": {"prompt": "a fox"}, "plans": [{"x": 1}], "n": n, **fields})


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(tmp_path)
    yield queue
    queue.close()


class Laws(RuleBasedStateMachine):
    """The model: the line as a list of ids, what runs as another, in the order in which it was begun."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.queue = Queue(Path(self.folder.name))
        self.line: list[str] = []
        self.running: list[str] = []
        self.over: dict[str, str] = {}
        self.made: dict[str, dict[int, str]] = {}
        self.n: dict[str, int] = {}
        self.deaths: dict[str, int] = {}
        self.starts: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        self.pictures = 0

    @rule(target=jobs, n=st.integers(1, 3), key=st.sampled_from([None, None, "a", "b"]))
    def accept(self, n: int, key: str | None) -> str:
        job, new = self.queue.accept(ask(n, key=key))
        assert new is (key is None or key not in self.keys)
        if key is not None:
            assert self.keys.setdefault(key, job.id) == job.id
        if new:
            self.line.append(job.id)
            self.n[job.id], self.made[job.id], self.deaths[job.id], self.starts[job.id] = n, {}, 0, 0
        return job.id

    @rule()
    def start(self) -> None:
        head = self.queue.next()
        assert (head is None) is (not self.line)
        if head is not None:
            assert head.id == self.line.pop(0)
            assert head.deaths == self.deaths[head.id]
            started = self.queue.start(head.id)
            assert started is not None
            assert started.made == self.made[head.id]
            assert started.ask.plans == ({"x": 1},)
            self.starts[head.id] += 1
            assert started.attempt == self.starts[head.id]
            self.running.append(head.id)

    @rule(job=jobs)
    def start_what_does_not_wait(self, job: str) -> None:
        if job not in self.line:
            assert self.queue.start(job) is None

    @rule(job=jobs, place=st.integers(0, 2))
    def make(self, job: str, place: int) -> None:
        if job in self.running and place < self.n[job]:
            self.pictures += 1
            self.queue.made(job, place, f"p{self.pictures}")
            self.made[job].setdefault(place, f"p{self.pictures}")
            self.deaths[job] = 0

    @rule(job=jobs, state=st.sampled_from(["done", "failed", "cancelled"]))
    def end(self, job: str, state: str) -> None:
        live = job in self.n and job not in self.over  # forgotten jobs are none
        assert self.queue.end(job, state) is live  # type: ignore[arg-type]
        if live:
            self.over[job] = state
            (self.line if job in self.line else self.running).remove(job)

    @rule(guilty=st.booleans(), undone=st.booleans())
    def the_worker_dies(self, guilty: bool, undone: bool) -> None:
        died = self.running if guilty and not undone else []
        for job in died:
            self.deaths[job] += 1
        for job in self.running:
            self.starts[job] -= undone
        expected = [job for job in self.running if self.deaths[job] < DEATHS and self.starts[job] < STARTS]
        assert self.queue.again(*reversed(self.running), died=died, undone=undone) == expected
        self.line = [*expected, *self.line]
        for job in self.running:
            if job not in expected:
                assert self.queue.end(job, "failed", error=Trouble(code="worker_died", message=""))
                self.over[job] = "failed"
        self.running = []

    @rule(job=jobs, before=jobs)
    def move(self, job: str, before: str) -> None:
        can = job in self.line and before in self.line and job != before
        assert self.queue.move(job, before) is can
        if can:
            self.line.remove(job)
            self.line.insert(self.line.index(before), job)

    @rule(job=jobs)
    def move_to_the_end(self, job: str) -> None:
        assert self.queue.move(job, None) is (job in self.line)
        if job in self.line:
            self.line.remove(job)
            self.line.append(job)

    @rule(job=consumes(jobs))
    def forget(self, job: str) -> None:
        gone = set(self.over)
        assert self.queue.forget(1e18) == len(gone)
        assert all(self.queue.get(each) is None for each in gone)
        for each in gone:
            del self.over[each], self.n[each], self.made[each]
        self.keys = {key: each for key, each in self.keys.items() if each not in gone}

    @rule()
    def restart(self) -> None:
        self.queue.close()
        self.queue = Queue(Path(self.folder.name))

    @invariant()
    def it_is_as_the_model(self) -> None:
        assert [job.id for job in self.queue.listed("queued")] == self.line
        assert [job.place for job in self.queue.listed("queued")] == list(range(1, len(self.line) + 1))
        assert self.queue.running() == self.running
        live = [*self.line, *self.running]
        assert self.queue.places.held == sum(self.n[job] - len(self.made[job]) for job in live)
        for job, state in self.over.items():
            found = self.queue.get(job)
            assert found is not None
            assert (found.state, found.made) == (state, tuple(p for _, p in sorted(self.made[job].items())))

    def teardown(self) -> None:
        self.queue.close()
        self.folder.cleanup()


TestLaws = Laws.TestCase
TestLaws.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_a_key_used_by_many_at_once_gives_one_job(queue: Queue) -> None:
    got: list[tuple[str, bool]] = []

    def accept() -> None:
        job, new = queue.accept(ask(key="k"))
        got.append((job.id, new))

    threads = [threading.Thread(target=accept) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({name for name, _ in got}) == 1
    assert sum(new for _, new in got) == 1
    assert queue.places.held == 1


def test_no_two_jobs_are_of_one_age(queue: Queue) -> None:
    ages = [queue.accept(ask())[0].created for _ in range(50)]
    assert ages == sorted(set(ages))
    pages: list[str] = []
    before = None
    while page := queue.listed(limit=7, before=before):
        pages += [job.id for job in page]
        before = page[-1].created
    assert len(pages) == len(set(pages)) == 50


def test_a_job_that_is_begun_meanwhile_is_seen_to_run_or_to_wait(queue: Queue) -> None:
    ids = [queue.accept(ask())[0].id for _ in range(60)]
    begun = threading.Thread(target=lambda: [queue.start(each) for each in ids])
    begun.start()
    while begun.is_alive():
        running, waiting = queue.standing(100)
        assert sorted(job.id for job in (*running, *waiting)) == sorted(ids)
    begun.join()


def test_a_deadline_is_overdue_from_its_moment(queue: Queue) -> None:
    job, _ = queue.accept(ask(deadline=5.0))
    queue.accept(ask())
    assert job.deadline is not None
    assert queue.overdue(job.deadline - 0.001) == []
    assert queue.overdue(job.deadline) == [job.id]
    queue.end(job.id, "cancelled")
    assert queue.overdue(job.deadline) == []


def test_kinds_that_may_not_run_now_are_passed_over(queue: Queue) -> None:
    refine, _ = queue.accept(ask(kind="refine"))
    draw, _ = queue.accept(ask())
    head, other = queue.next(), queue.next(["refine", "compare"])
    assert head is not None
    assert other is not None
    assert (head.id, other.id) == (refine.id, draw.id)


def test_plans_of_a_job_that_is_over_are_let_go(queue: Queue) -> None:
    job, _ = queue.accept(ask())
    assert queue.ask(job.id).plans
    queue.end(job.id, "done")
    assert queue.ask(job.id).plans == ()


def test_a_notice_is_kept_once(queue: Queue) -> None:
    job, _ = queue.accept(ask(notices=[{"code": "a", "message": "b"}]))
    for _ in range(2):
        queue.warn(job.id, Notice(code="c", message="d"))
    found = queue.get(job.id)
    assert found is not None
    assert [each.code for each in found.notices] == ["a", "c"]


def test_a_job_that_was_begun_too_often_is_not_begun_again(queue: Queue) -> None:
    job, _ = queue.accept(ask())
    for _ in range(STARTS - 1):
        assert queue.start(job.id) is not None
        assert queue.again(job.id) == [job.id]
    assert queue.start(job.id) is not None
    assert queue.again(job.id) == []


def test_a_file_of_the_first_schema_keeps_its_jobs(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "queue.db")
    connection.executescript("""
        CREATE TABLE jobs (
          id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, ask TEXT NOT NULL, n INTEGER NOT NULL,
          position REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, key TEXT UNIQUE,
          created REAL NOT NULL, started REAL, ended REAL, deadline REAL,
          notices TEXT NOT NULL DEFAULT '[]', result TEXT, error TEXT
        ) STRICT;
        CREATE TABLE made (
          job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, place INTEGER NOT NULL,
          picture TEXT NOT NULL UNIQUE, PRIMARY KEY (job, place)
        ) STRICT;
        PRAGMA user_version = 1;
    """)
    values = ("old", "draw", "queued", ask().model_dump_json(), 1, 1.0, 5.0)
    connection.execute(
        "INSERT INTO jobs (id, kind, state, ask, n, position, created) VALUES (?, ?, ?, ?, ?, ?, ?)", values
    )
    connection.commit()
    connection.close()
    queue = Queue(tmp_path)
    assert queue.ask("old") == ask()
    queue.close()


def test_a_file_of_a_newer_limner_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "queue.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LibraryError, match="newer Limner"):
        Queue(tmp_path)


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(LibraryError, match="damaged"):
        Queue(tmp_path)


def test_a_closed_queue_says_so_in_our_words(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.close()
    with pytest.raises(StorageError):
        queue.accept(ask())


def test_a_full_disk_accepts_nothing(queue: Queue) -> None:
    with queue._file.writing() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    with queue._file.reading() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="full"):
        queue.accept(ask(body={"prompt": json.dumps("x" * 100_000)}))
    assert queue.listed() == []
    assert queue.places.held == 0


def test_what_cannot_be_counted_is_not_accepted(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> int:
        raise StorageError("the disk is gone", hint="look for it")

    with monkeypatch.context() as broken:
        broken.setattr(queue, "waiting", fails)
        with pytest.raises(StorageError, match="gone"):
            queue.accept(ask())
    assert queue.listed() == []
    assert queue.places.held == queue.waiting() == 0
