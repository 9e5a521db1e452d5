"""The real engine with pocket: what is computed after a cancel, and whether memory grows.

``python -m tests.soak.engine --cancels 100`` cancels jobs at random steps: no model call may be begun afterwards but
the one that was being prepared. ``--minutes 30``: eight clients draw all the time; anonymous memory of server and
worker, as the median of the last third against that of the second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue

from limner.config import Settings
from limner.engine.runner import TorchRunner
from limner.errors import Cancelled
from limner.serve.dispatch import Options
from limner.serve.jobs import Ask, TidingType
from limner.serve.service import Service
from limner.serve.work.draw import run
from limner.serve.work.tell import Work
from limner.session import Session
from limner.types import Request

STEPS = 60
CLIENTS = 8
MOST_DRIFT = 0.05


def cancels(session: Session, times: int, chance: random.Random) -> Counter[int]:
    """How often how many model calls were begun after a job was told to stop."""
    begun = 0
    forward = TorchRunner.forward

    def counted(self: TorchRunner, *given: object, **named: object) -> object:
        nonlocal begun
        begun += 1
        return forward(self, *given, **named)  # type: ignore[arg-type]

    late: Counter[int] = Counter()
    TorchRunner.forward = counted  # type: ignore[method-assign,assignment]
    try:
        for k in range(times):
            late[_stopped(session, k, chance.randint(1, STEPS // 2), lambda: begun)] += 1
    finally:
        TorchRunner.forward = forward  # type: ignore[method-assign]
    return late


def _stopped(session: Session, seed: int, at: int, begun: Callable[[], int]) -> int:
    """Begin a job as the worker does, stop it at a step, and count what was begun from then on."""
    plans = session.plan(Request.of(prompt="a red fox", seed=seed, steps=STEPS))
    ask = Ask(kind="draw", body={}, plans=tuple(plan.model_dump(mode="json") for plan in plans), previews=False)
    then = None

    def told(kind: TidingType, data: Mapping[str, JsonValue], _: bytes) -> None:
        nonlocal then
        if kind == "step" and then is None and int(str(data["step"])) >= at:
            work.stop()
            then = begun()

    work = Work(f"job-{seed}", ask, {}, told)
    try:
        run(session, work)
    except Cancelled:
        pass
    else:
        raise AssertionError("it was not stopped")
    assert then is not None
    return begun() - then


async def drift(service: Service, minutes: float) -> dict[str, object]:
    """Megabytes of both processes over the time, and by how much the last third is above the second."""
    end, made = time.monotonic() + minutes * 60, 0
    samples: list[tuple[float, float]] = []

    async def client(number: int) -> None:
        nonlocal made
        chance = random.Random(number)
        while time.monotonic() < end:
            request = Request.of(prompt=f"a red fox {chance.randrange(10**6)}", steps=chance.randint(4, 12))
            job = await service.wait((await service.draw(request)).id)
            assert job.state == "done", job.error
            made += 1

    async def look() -> None:
        while time.monotonic() < end:
            samples.append((_megabytes(os.getpid()), _megabytes(service.inside.crew.pid)))
            await asyncio.sleep(min(5.0, minutes * 6))

    await asyncio.gather(look(), *(client(number) for number in range(CLIENTS)))
    third = len(samples) // 3
    grown = {}
    for place, name in enumerate(("server", "worker")):
        middle, last = ([each[place] for each in part] for part in (samples[third : 2 * third], samples[2 * third :]))
        grown[name] = round(statistics.median(last) / statistics.median(middle) - 1, 4)
    return {"minutes": minutes, "pictures": made, "first": samples[0], "last": samples[-1], "drift": grown}


def _megabytes(pid: int | None) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("RssAnon:")[2].split()[0]) / 1024


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cancels", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=30.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        settings = Settings.load(Path(home), env={})
        with Session(settings=settings, batching="shared", offline=True) as session:
            late = cancels(session, given.cancels, random.Random(0))
        print(json.dumps({"cancels": given.cancels, "calls begun after": dict(sorted(late.items()))}), flush=True)
        service = Service(settings, Options(environment={"LIMNER_HOME": home}, offline=True))
        await service.start()
        await service.inside.crew.wait_ready()
        grown = await drift(service, given.minutes) if given.minutes else {"drift": {}}
        print(json.dumps(grown), flush=True)
        await service.stop()
    drifts = grown["drift"]
    assert isinstance(drifts, dict)
    return int(max(late, default=0) > 1 or any(each > MOST_DRIFT for each in drifts.values()))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
