"""What a killed process left: its pictures go to their jobs, each once; its lock is free when it has really gone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from limner.config import Settings
from limner.errors import LibraryError
from limner.library.store import Library
from limner.serve.alive import Alive
from limner.serve.home import AlreadyServed
from limner.serve.jobs import Ask
from limner.serve.queue import Queue
from limner.serve.recovery import put_back
from limner.session import Session
from limner.session.birth import birth
from limner.types import Drawn, Facts, Plan, Request

FACTS = Facts("test", 1, {"total": 0.01}, None, {})


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(tmp_path)
    yield queue
    queue.close()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path / "library")
    yield library
    library.close()


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    settings = Settings.load(tmp_path_factory.mktemp("home"), env={})
    with Session(settings=settings, batching="shared", offline=True) as session:
        return session.plan(Request.of(prompt="a fox", n=2, seed=5))[0]


def begun(queue: Queue, plan: Plan) -> str:
    ask = Ask(kind="draw", body={"prompt": "a fox"}, plans=(plan.model_dump(mode="json"),), n=2)
    job, _ = queue.accept(ask)
    assert queue.start(job.id) is not None
    return job.id


def stored(library: Library, plan: Plan, place: int) -> str:
    pixels = np.full((128, 128, 3), 7, np.uint8)
    return library.add(pixels, birth(plan, Drawn(place, pixels, FACTS), ())).id


def made(queue: Queue, name: str) -> tuple[str | None, ...]:
    job = queue.get(name)
    assert job is not None
    return job.pictures


def test_a_stored_picture_that_was_not_told_is_the_jobs(queue: Queue, library: Library, plan: Plan) -> None:
    name = begun(queue, plan)
    picture = stored(library, plan, 1)
    assert put_back(queue, library, [name]) == ([name], [])
    assert made(queue, name) == (None, picture)
    assert queue.places.held == 1


def test_the_same_asked_twice_gives_each_its_own_picture(queue: Queue, library: Library, plan: Plan) -> None:
    names = [begun(queue, plan), begun(queue, plan)]
    pictures = [stored(library, plan, 0), stored(library, plan, 0)]
    put_back(queue, library, names)
    assert [made(queue, name) for name in names] == [(pictures[0], None), (pictures[1], None)]


def test_a_file_whose_row_was_not_written_is_found(queue: Queue, library: Library, plan: Plan) -> None:
    name = begun(queue, plan)
    picture = stored(library, plan, 0)
    library.database.write("DELETE FROM pictures")
    put_back(queue, library, [name])
    assert made(queue, name) == (picture, None)
    assert library.count() == 1


def test_pictures_of_before_or_of_another_job_are_left_alone(queue: Queue, library: Library, plan: Plan) -> None:
    old = stored(library, plan, 0)
    library.database.write("UPDATE pictures SET created = '2020-01-01T00:00:00Z' WHERE id = ?", (old,))
    first = begun(queue, plan)
    queue.made(first, 0, stored(library, plan, 0))
    queue.end(first, "done")
    second = begun(queue, plan)
    put_back(queue, library, [second])
    assert made(queue, second) == (None, None)


def test_a_library_that_cannot_be_read_does_not_hold_up_the_queue(
    queue: Queue, library: Library, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged() -> None:
        raise LibraryError("damaged", hint="")

    monkeypatch.setattr(library, "reconcile", damaged)
    name = begun(queue, plan)
    assert put_back(queue, library, [name]) == ([name], [])


def test_the_second_death_without_a_picture_is_the_last(queue: Queue, library: Library, plan: Plan) -> None:
    name = begun(queue, plan)
    assert put_back(queue, library, [name], died=[name])[0] == [name]
    queue.start(name)
    stored(library, plan, 0)  # something was made: it counts from here
    assert put_back(queue, library, [name], died=[name])[0] == [name]
    queue.start(name)
    back, lost = put_back(queue, library, [name], died=[name])
    assert back == []
    assert [(job.id, job.attempts) for job in lost] == [(name, 3)]


def test_a_lock_is_free_when_server_and_worker_have_gone(tmp_path: Path) -> None:
    server, other = Alive(tmp_path), Alive(tmp_path)
    server.take(1.0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=server.fds) as worker:
        server.release()  # as a kill does
        with pytest.raises(AlreadyServed, match="worker"):
            other.take(0.1)
        worker.kill()
    other.take(60.0)  # raises where it is not free
    other.release()
    other.release()


def test_a_worker_that_is_gone_soon_is_waited_for(tmp_path: Path) -> None:
    server, other = Alive(tmp_path), Alive(tmp_path)
    server.take(1.0)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"], pass_fds=server.fds):
        server.release()
        other.take(60.0)
        other.release()
