"""The Service with a stand-in for the worker: what is accepted is done, once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from limner.config import Settings
from limner.errors import InvalidRequest, StorageError
from limner.serve.dispatch import Options
from limner.serve.home import AlreadyServed
from limner.serve.jobs import Ask, Job, Kind, Tiding
from limner.serve.service import Draining, QueueFull, Service
from limner.types import Request
from tests.serving import WORKER


@asynccontextmanager
async def serving(home: Path, **options: object) -> AsyncIterator[Service]:
    service = Service(Settings.load(home, env={}), replace(given(home), **options))  # type: ignore[arg-type]
    await service.start()
    try:
        async with asyncio.timeout(100):
            yield service
    finally:
        await service.stop(0.0)


def given(home: Path) -> Options:
    return Options(command=WORKER, environment={"LIMNER_HOME": str(home)}, offline=True)


def run(home: Path, part: Callable[[Service], Coroutine[object, object, None]], **options: object) -> None:
    async def main() -> None:
        async with serving(home, **options) as service:
            await part(service)

    asyncio.run(main())


async def drawn(service: Service, prompt: str = "a fox", **fields: object) -> Job:
    key, deadline = fields.pop("key", None), fields.pop("deadline", None)
    fields.setdefault("steps", 3)
    request = Request.of(prompt=prompt, **fields)
    return await service.draw(request, key=key, deadline=deadline)  # type: ignore[arg-type]


async def until(service: Service, name: str, kind: str, count: int = 1) -> Tiding:
    """The next tiding of a kind, or the one that comes after some of them."""
    async for tiding in service.follow(name):
        count -= tiding.type == kind
        if count == 0:
            return tiding
    raise AssertionError(f"{name} ended without {kind}")


async def begun(service: Service, *jobs: Job) -> None:
    """Until they are at the worker."""
    while not all(job.id in service.inside.running for job in jobs):
        await asyncio.sleep(0.01)


async def asked(service: Service, kind: Kind, words: str = "") -> Job:
    return await service.submit(Ask(kind=kind, body={"words": words}))


def kill(service: Service) -> None:
    assert service.inside.crew.pid is not None
    os.kill(service.inside.crew.pid, signal.SIGKILL)


# --- the course of a job


def test_a_job_tells_its_course_from_queued_to_done(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        listening = service.listen(None, service.hub.seq)
        job = await drawn(service, n=2)
        assert (job.state, job.place) == ("queued", 1)
        heard = [await anext(listening)]
        while not heard[-1].last:
            heard.append(await anext(listening))
        kinds = [each.type for each in heard]
        assert kinds[0] == "queued"
        assert kinds[1] == "started"
        assert kinds.count("made") == 2
        assert kinds[-1] == "done"
        steps = [each.data["step"] for each in heard if each.type == "step" and each.data["index"] == 1]
        assert steps == sorted(steps)  # type: ignore[type-var]
        done = await service.wait(job.id)
        assert [service.session.library.get(each).seed for each in done.made] == [
            service.session.library.get(done.made[0]).seed,
            (service.session.library.get(done.made[0]).seed or 0) + 1,
        ]
        assert service.inside.pending == 0

    run(tmp_path, part)


def test_a_kind_that_the_worker_cannot_do_fails_with_a_reason(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        job = await service.wait((await asked(service, "refine")).id)
        assert job.state == "failed"
        assert job.error is not None
        assert job.error.code == "unknown_name"
        assert "refine" in job.error.message

    code = (
        "import sys; from limner.serve import worker; from limner.serve.worker import Worker, pipes;"
        "sys.argv[1:] = []; worker.HANDLERS = {}; worker.main()"
    )
    run(tmp_path, part, command=(sys.executable, "-c", code))


# --- cancel, deadline, order


def test_cancelling_what_waits_and_what_runs(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        slow = await drawn(service, "a fox zzslow", steps=20, n=2)
        waits = await drawn(service)
        await until(service, slow.id, "step")
        gone = await service.cancel(waits.id)
        assert gone is not None
        assert gone.state == "cancelled"
        await service.cancel(slow.id)
        await service.cancel(slow.id)
        assert (await service.wait(slow.id)).state == "cancelled"
        assert service.inside.pending == 0
        assert await service.cancel("nothing") is None
        done = await service.cancel((await service.wait((await drawn(service)).id)).id)
        assert done is not None
        assert done.state == "done"  # the first end holds

    run(tmp_path, part, at_once=1)


def test_a_job_cancelled_while_it_is_handed_out_is_never_drawn_to_the_end(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        for k in range(20):
            job = await drawn(service, "a fox zzslow", steps=30)
            await asyncio.sleep(0.002 * k)
            await service.cancel(job.id)
            assert (await service.wait(job.id)).state == "cancelled"
        while service.inside.running:
            await asyncio.sleep(0.01)
        assert service.session.library.count() == 0

    run(tmp_path, part)


def test_a_cancelled_job_is_not_begun_again_when_the_worker_dies(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        job, other = await drawn(service, "a fox zzhang"), await drawn(service, "a fox zzslow", steps=30)
        await until(service, other.id, "step", 6)
        await service.cancel(job.id)
        kill(service)
        assert (await service.wait(job.id)).state == "cancelled"

    run(tmp_path, part)


def test_a_job_that_does_not_stop_is_ended_with_its_worker(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        stuck, other = await drawn(service, "a fox zzhang"), await drawn(service, "a fox zzslow", steps=30)
        await begun(service, stuck, other)
        await until(service, other.id, "step", 6)  # by then the other one hangs
        await service.cancel(stuck.id)
        assert (await service.wait(stuck.id)).state == "cancelled"
        found = await service.wait(other.id)
        assert found.state == "done"  # not its fault: this start is not held against it
        assert service.inside.crew.starts == 2

    run(tmp_path, part, patience=0.3)


def test_a_deadline_ends_a_job_at_once_and_its_late_end_changes_nothing(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        job = await drawn(service, "a fox zzslow", steps=50, n=2, deadline=0.5)
        waits = await drawn(service, deadline=0.2)
        for each in (job, waits):
            over = await service.wait(each.id)
            assert over.state == "failed"
            assert over.error is not None
            assert over.error.code == "deadline"
        while service.inside.running:
            await asyncio.sleep(0.01)
        found = await service.job(job.id)
        assert found is not None
        assert found.state == "failed"
        assert (await service.wait((await drawn(service)).id)).state == "done"

    run(tmp_path, part, at_once=1)


def test_jobs_run_in_their_order_and_one_study_at_a_time(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        first = await asked(service, "refine", "zzslow")
        second, third = await asked(service, "compare", "zzslow"), await drawn(service)
        await begun(service, first)
        assert (await service.wait(third.id)).state == "done"
        waiting = await service.job(second.id)
        assert waiting is not None
        assert waiting.state == "queued"
        assert (await service.wait(second.id)).state == "done"
        before = await service.job(first.id)
        assert before is not None
        assert before.state == "done"

    run(tmp_path, part)


def test_a_moved_job_is_next(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        slow = await drawn(service, "a fox zzslow", steps=10)
        one, two, three = [await drawn(service) for _ in range(3)]
        await begun(service, slow)
        assert await service.move(three.id, one.id)
        assert [job.id for job in await service.jobs("queued")] == [three.id, one.id, two.id]
        assert not await service.move(slow.id, None)
        ended = {each.id: (await service.wait(each.id)).ended or 0.0 for each in (one, two, three)}
        assert sorted(ended, key=lambda name: ended[name]) == [three.id, one.id, two.id]

    run(tmp_path, part, at_once=1)


# --- how much is accepted


def test_a_full_queue_says_when_to_come_back_and_knows_its_own(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        known = await drawn(service, "a fox zzslow", steps=60, n=3, key="k")
        full = await asyncio.gather(*(drawn(service, n=1) for _ in range(6)), return_exceptions=True)
        refused = [each for each in full if isinstance(each, QueueFull)]
        assert len(refused) == 4  # also where all of them ask at once
        assert service.inside.pending == 5
        assert all(each.retry_after >= 1 for each in refused)
        assert (await drawn(service, key="k")).id == known.id
        with pytest.raises(InvalidRequest, match="takes 5"):
            await drawn(service, n=6)
        await service.cancel(known.id)
        await service.wait(known.id)
        await drawn(service, n=3)

    run(tmp_path, part, most_waiting=5, at_once=1)


def test_work_whose_caller_goes_away_while_it_is_accepted_is_begun_and_counted_once(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        ask = Ask(kind="draw", body={"prompt": "a fox"}, n=2, title="a fox", client="native")
        gate = threading.Event()
        busy = asyncio.ensure_future(service.inside.do(gate.wait, 10))  # the queue's thread has something else to do
        await asyncio.sleep(0)
        leaving = asyncio.create_task(service.submit(ask))
        while not service.queue.places.taken:
            await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert service.queue.places.taken == 2  # it is still on its way
        gate.set()
        await busy
        (job,) = await service.jobs()
        assert (job.n, service.queue.places.taken) == (2, service.inside.pending)

    run(tmp_path, part, most_waiting=5, at_once=1)


def test_one_key_is_one_job_however_often_and_quickly_it_is_asked(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        jobs = await asyncio.gather(*(drawn(service, key="k") for _ in range(10)))
        assert len({job.id for job in jobs}) == 1
        done = await service.wait(jobs[0].id)
        assert len(done.made) == service.session.library.count() == 1
        assert (await drawn(service, key="k")).state == "done"

    run(tmp_path, part)


# --- deaths


def test_a_job_whose_worker_died_runs_once_more_and_then_fails_with_the_reason(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        done = await service.wait((await drawn(service, "a fox zzcrashonce")).id)
        failed = await service.wait((await drawn(service, "a fox zzcrash")).id)
        assert (done.state, failed.state) == ("done", "failed")
        assert failed.error is not None
        assert failed.error.code == "worker_died"
        assert "exit code 3" in failed.error.message
        assert (done.attempts, failed.attempts) == (2, 2)
        assert (await service.wait((await drawn(service)).id)).state == "done"

    run(tmp_path, part)


def test_a_job_that_kills_the_worker_takes_no_other_with_it(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        good = [await drawn(service, "a fox zzslow", steps=4) for _ in range(3)]
        bad = [await drawn(service, "a fox zzcrash") for _ in range(3)]
        assert [(await service.wait(job.id)).state for job in good] == ["done"] * 3
        assert [(await service.wait(job.id)).state for job in bad] == ["failed"] * 3

    run(tmp_path, part)


def test_an_error_after_which_the_process_is_useless_is_one_jobs_alone(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        good, bad = await drawn(service, "a fox zzslow", steps=8), await drawn(service, "a fox zzcuda")
        failed = await service.wait(bad.id)
        assert failed.state == "failed"
        assert failed.error is not None
        assert "CUDA error" in failed.error.message
        assert (await service.wait(good.id)).state == "done"

    run(tmp_path, part)


def test_what_was_made_before_the_death_stays_and_is_not_drawn_again(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        job = await drawn(service, "a fox zzslow", steps=2, n=4)
        await until(service, job.id, "made")
        kill(service)
        done = await service.wait(job.id)
        assert done.state == "done"
        assert len(set(done.made)) == 4
        assert service.session.library.count() == 4

    run(tmp_path, part)


def test_restarted_jobs_keep_their_order_before_those_that_wait(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        running = [await drawn(service, "a fox zzslow", steps=100) for _ in range(3)]
        waiting = await drawn(service, "a fox zzslow")
        await begun(service, *running)
        listening = service.listen(None, service.hub.seq)
        heard = asyncio.ensure_future(anext(listening))
        await asyncio.sleep(0)
        kill(service)
        again = []
        while len(again) < 3:
            if (tiding := await heard).type == "restarted":
                again.append(tiding.job)
            heard = asyncio.ensure_future(anext(listening))
        heard.cancel()
        assert again == [job.id for job in running]
        line = [*service.inside.running, *(job.id for job in await service.jobs("queued"))]
        assert line == [*again, waiting.id]

    run(tmp_path, part, at_once=3)


# --- the end of the server, and the next one


def test_a_drain_finishes_what_runs_and_leaves_the_rest_unspent(tmp_path: Path) -> None:
    async def first() -> tuple[Job, Job, Job]:
        async with serving(tmp_path, at_once=2) as service:
            short = await drawn(service, "a fox zzslow", steps=5)
            long, waits = await drawn(service, "a fox zzslow", steps=600), await drawn(service)
            await begun(service, short, long)
            await service.inside.stop(2.5)
            with pytest.raises(Draining):
                await drawn(service)
            return tuple([await service.job(each.id) for each in (short, long, waits)])  # type: ignore[return-value]

    async def second(long: Job, waits: Job) -> None:
        async with serving(tmp_path) as service:
            assert service.resumed == 0
            assert (await service.wait(waits.id)).state == "done"
            await begun(service, long)

    short, long, waits = asyncio.run(first())
    assert (short.state, short.attempts) == ("done", 1)
    assert (long.state, long.attempts) == ("queued", 0)
    assert (waits.state, waits.attempts) == ("queued", 0)
    asyncio.run(second(long, waits))


def test_who_waits_when_the_server_stops_is_let_go(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        job = await drawn(service, "a fox zzslow", steps=600)
        await until(service, job.id, "step")
        waiting = asyncio.create_task(service.wait(job.id))
        await asyncio.sleep(0)
        await service.inside.stop(0.0)
        assert (await waiting).state == "queued"

    run(tmp_path, part)


def test_a_second_server_of_a_home_waits_and_is_refused(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        job = await drawn(service, "a fox zzslow", steps=5)
        other = Service(Settings.load(tmp_path, env={}), given(tmp_path))
        with pytest.raises(AlreadyServed):
            await other.inside.do(other.inside._alive.take, 0.2)
        other.queue.close()
        assert (await service.wait(job.id)).state == "done"

    run(tmp_path, part)


def test_a_disk_that_is_full_for_a_while_loses_no_end(tmp_path: Path) -> None:
    async def part(service: Service) -> None:
        refused = 0
        queue_end = service.queue.end

        def end(*given: object, **named: object) -> bool:
            nonlocal refused
            if refused < 2:
                refused += 1
                raise StorageError("the disk is full", hint="")
            return queue_end(*given, **named)  # type: ignore[arg-type]

        service.queue.end = end  # type: ignore[method-assign,assignment]
        assert (await service.wait((await drawn(service)).id)).state == "done"
        assert refused == 2

    run(tmp_path, part)
