"""Tidings: in order, once, to those who listen, who may be slow, may leave, and may come back."""

from __future__ import annotations

import asyncio

from limner.serve import hub as module
from limner.serve.hub import Hub
from limner.serve.jobs import Tiding


async def taken(hub: Hub, count: int, job: str | None = None, after: int | None = None) -> list[Tiding]:
    got: list[Tiding] = []
    async for tiding in hub.listen(job, after):
        got.append(tiding)
        if len(got) == count:
            break
    return got


def test_each_hears_its_job_and_all_hear_all_in_order() -> None:
    async def main() -> None:
        hub = Hub()
        one, every = asyncio.create_task(taken(hub, 2, "a")), asyncio.create_task(taken(hub, 4))
        await asyncio.sleep(0)
        for job in "abab":
            hub.tell(job, "note")
        assert [each.job for each in await one] == ["a", "a"]
        assert [each.seq for each in await every] == list(range(hub.seq - 3, hub.seq + 1))

    asyncio.run(main())


def test_who_comes_back_hears_what_was_missed_once_and_no_steps() -> None:
    async def main() -> None:
        hub = Hub()
        first = hub.tell("a", "queued").seq
        hub.tell("a", "step")
        hub.tell("a", "started")
        task = asyncio.create_task(taken(hub, 3, "a", first))
        await asyncio.sleep(0)
        hub.tell("a", "made")
        hub.tell("a", "done")
        assert [each.type for each in await task] == ["started", "made", "done"]

    asyncio.run(main())


def test_nobody_is_kept_who_left() -> None:
    async def main() -> None:
        hub = Hub()
        for k in range(100):
            hub.tell("a", "note")
            listening = hub.listen("a", hub.seq - 1)
            assert (await anext(listening)).type == "note"
            await listening.aclose()  # type: ignore[attr-defined]
            task = asyncio.create_task(taken(hub, 1, f"{k}"))
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0)
        assert hub._listeners == {}

    asyncio.run(main())


def test_a_slow_listener_loses_steps_and_nothing_else() -> None:
    async def main() -> None:
        hub = Hub()
        listening = hub.listen("a")
        first = asyncio.ensure_future(anext(listening))
        await asyncio.sleep(0)
        for _ in range(3_000):
            hub.tell("a", "step", preview=b"x" * 1_000)
        hub.tell("a", "done")
        heard = [await first]
        while not heard[-1].last:
            heard.append(await anext(listening))
        assert len(heard) <= module.ROOM + 2
        assert heard[-1].type == "done"

    asyncio.run(main())


def test_a_dead_listener_is_let_go() -> None:
    async def main() -> None:
        hub = Hub()
        task = asyncio.create_task(taken(hub, 10**9))
        await asyncio.sleep(0)
        for _ in range(module.MOST + 1):
            hub.tell("a", "note")
        assert await asyncio.wait_for(task, 5) == []

    asyncio.run(main())


def test_what_is_known_is_bounded_and_it_says_so() -> None:
    hub = Hub()
    start = hub.seq
    assert hub.knows(start)
    for _ in range(module.KEPT + 5):
        hub.tell("a", "note")
    assert not hub.knows(start)
    assert not hub.knows(hub.seq - module.KEPT - 1)
    assert hub.knows(hub.seq - module.KEPT)
    assert hub.knows(hub.seq)
    assert not hub.knows(hub.seq + 1)
    assert len(hub._kept) == module.KEPT


def test_numbers_of_an_earlier_server_are_not_known() -> None:
    earlier = Hub()
    for _ in range(5):
        earlier.tell("a", "note")
    later = Hub()
    later._first = later._seq = max(later.seq, earlier.seq + 1)  # in life they are seconds apart
    assert not later.knows(earlier.seq)


def test_the_end_of_the_server_ends_listening() -> None:
    async def main() -> None:
        hub = Hub()
        task = asyncio.create_task(taken(hub, 10))
        await asyncio.sleep(0)
        hub.tell("a", "note")
        hub.close()
        assert [each.type for each in await asyncio.wait_for(task, 5)] == ["note"]
        assert await asyncio.wait_for(taken(hub, 10), 5) == []

    asyncio.run(main())
