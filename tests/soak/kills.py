"""kill -9 at random points, of the server or of its worker; then look whether anything was lost, torn or made twice.

``python -m tests.soak.kills --servers 200 --workers 200`` prints the figures as JSON and fails where one is not 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from limner.config import Settings
from limner.library.store import Library
from limner.serve.dispatch import Options
from limner.serve.queue import Queue
from limner.serve.service import Service
from tests.serving import WORKER
from tests.soak.server import request, said

PATIENCE = 120.0


@dataclass(frozen=True)
class Found:
    """What there is after ``kills``. ``lost``: accepted jobs that are not there, or not over; ``failed``: those that
    met the worker's death twice and say so; ``torn``: files that are no pictures; ``twice``: pictures of no job, files
    without a row, keys with two jobs; ``short``: jobs that are done and have not all their pictures."""

    kills: int
    accepted: int
    pictures: int
    lost: int
    failed: int
    torn: int
    twice: int
    short: int
    seconds: float

    @property
    def good(self) -> bool:
        return not (self.lost or self.torn or self.twice or self.short)


def kill_servers(home: Path, times: int, seed: int = 0) -> Found:
    """Start a server, kill it with -9 after a random while, ``times`` times; then let one finish."""
    chance, began = random.Random(seed), time.monotonic()
    for life in range(times):
        with _server(home, life, submit=True) as running:
            assert running.stdout is not None
            if chance.random() < 0.9:  # now and then it is killed while it is starting
                assert running.stdout.readline() == "started\n"
            time.sleep(chance.choice((0.05, 1.0, 3.0)) * chance.random())
            running.kill()
    with _server(home, times, submit=False) as running:
        running.communicate(timeout=PATIENCE)
        assert running.returncode == 0
    accepted = {line[1]: line[2] for line in said(home / "log") if line[:1] == ["got"]}
    return found(home, times, accepted, time.monotonic() - began)


def kill_workers(home: Path, times: int, seed: int = 0) -> Found:
    """One server whose worker is killed with -9, ``times`` times, at random points of its life."""
    began = time.monotonic()
    accepted = asyncio.run(_kill_workers(home, times, random.Random(seed)))
    return found(home, times, accepted, time.monotonic() - began)


async def _kill_workers(home: Path, times: int, chance: random.Random) -> dict[str, str]:
    options = Options(command=WORKER, environment={"LIMNER_HOME": str(home)}, offline=True)
    service = Service(Settings.load(home, env={}), options)
    await service.start()
    accepted: dict[str, str] = {}
    for life in range(times):
        if chance.random() < 0.9:  # now and then it is killed while it is starting
            await service.inside.crew.wait_ready()
        for k in range(chance.randint(1, 4) if service.inside.pending < 30 else 0):
            key = f"{life}-{k}"
            accepted[key] = (await service.draw(request(key), key=key)).id
        await asyncio.sleep(chance.choice((0.02, 0.3, 1.0)) * chance.random())
        if (pid := service.inside.crew.pid) is not None:
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.01)
    async with asyncio.timeout(PATIENCE):
        for name in accepted.values():
            await service.wait(name)
    await service.stop()
    return accepted


def found(home: Path, kills: int, accepted: dict[str, str], seconds: float) -> Found:
    """Look at what is on the disk."""
    queue, library = Queue(home), Library(Settings.load(home, env={}).library_root)
    jobs = [queue.get(name) for name in accepted.values()]
    over = [job for job in jobs if job is not None and job.over]
    failed = [
        job for job in over if job.state == "failed" and job.error is not None and job.error.code == "worker_died"
    ]
    everyone = queue.listed(limit=10**6)
    owned = Counter(picture for job in everyone for picture in job.made)
    files = [path for path in (library.root / "images").rglob("*.png") if not path.name.startswith(".")]
    adopted = library.reconcile().adopted
    stored = {row["id"] for row in library.database.query("SELECT id FROM pictures")}
    twice = sum(n - 1 for n in owned.values()) + len(stored ^ set(owned)) + len(adopted)
    twice += len(everyone) - len({job.id for job in everyone}) + len(set(accepted.values()) ^ {j.id for j in everyone})
    result = Found(
        kills=kills,
        accepted=len(accepted),
        pictures=len(stored),
        lost=len(accepted) - len([job for job in over if job.state == "done"]) - len(failed),
        failed=len(failed),
        torn=sum(not _whole(path) for path in files),
        twice=twice,
        short=sum(None in job.pictures for job in over if job.state == "done"),
        seconds=round(seconds, 1),
    )
    queue.close()
    library.close()
    return result


def _whole(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError):
        return False
    return True


def _server(home: Path, life: int, *, submit: bool) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.soak.server", str(home), str(life), str(int(submit))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=200)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    good = True
    for name, kill, times in (("servers", kill_servers, given.servers), ("workers", kill_workers, given.workers)):
        with tempfile.TemporaryDirectory() as home:
            result = kill(Path(home), times, given.seed)
        print(json.dumps({"killed": name, **asdict(result)}), flush=True)
        good = good and result.good
    sys.exit(not good)


if __name__ == "__main__":
    main()
