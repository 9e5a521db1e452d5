"""A server to be killed: ``python -m tests.soak.server HOME SEED SUBMIT``.

It takes up what was left and, with SUBMIT 1, accepts jobs as fast as it may; with 0 it ends when the queue is empty.
Each job has an idempotency key: ``try KEY`` is on the disk, in HOME/log, before it is submitted, and ``got KEY ID``
after it was accepted. A key that was tried and not answered is tried again, as a client would.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from limner.config import Settings
from limner.serve.dispatch import Options
from limner.serve.service import QueueFull, Service
from limner.types import Request
from tests.serving import WORKER

WORDS = ("a red fox", "a blue house", "two cats")


def said(log: Path) -> list[list[str]]:
    """The lines there are; one that is torn was not written."""
    text = log.read_text() if log.exists() else ""
    return [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]


def say(log: Path, *words: str) -> None:
    torn = log.exists() and (text := log.read_bytes()) and not text.endswith(b"\n")
    with log.open("a") as file:
        file.write(("\n" if torn else "") + " ".join(words) + "\n")
        file.flush()
        os.fsync(file.fileno())


def request(key: str) -> Request:
    """Of a few, so that the same is often asked twice."""
    chance = random.Random(key)
    return Request.of(prompt=chance.choice(WORDS), n=chance.randint(1, 3), seed=chance.randint(0, 3), steps=3)


async def submitted(service: Service, log: Path, key: str) -> None:
    while True:
        try:
            job = await service.draw(request(key), key=key)
        except QueueFull:
            await asyncio.sleep(0.1)
        else:
            say(log, "got", key, job.id)
            return


async def main(home: Path, seed: int, submit: bool) -> None:
    log = home / "log"
    options = Options(command=WORKER, environment={"LIMNER_HOME": str(home)}, offline=True, most_waiting=60)
    service = Service(Settings.load(home, env={}), options)
    await service.start()
    print("started", flush=True)
    lines = said(log)
    got = {line[1] for line in lines if line[:1] == ["got"]}
    for key in dict.fromkeys(line[1] for line in lines if line[:1] == ["try"]):
        if key not in got:
            await submitted(service, log, key)
    chance = random.Random(seed)
    for count in range(10**6 if submit else 0):
        key = f"{seed}-{count}"
        say(log, "try", key)
        await submitted(service, log, key)
        await asyncio.sleep(chance.uniform(0.0, 0.1))
    while service.inside.pending or service.inside.running:
        await asyncio.sleep(0.05)
    await service.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1"))
