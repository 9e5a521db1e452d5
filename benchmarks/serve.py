"""``limner serve`` beside what people write in an afternoon: FastAPI round a diffusers pipeline, with a lock.

python -m benchmarks.serve [--clients 1 4 8 16] [--each 3] [--runs 3]

Both have the same weights (pocket) in the same dtype, and the same clients: each asks for a picture, waits for it,
takes its file, and asks for the next; prompts, seeds and steps (8 to 28) differ, guidance is 5, size 128. They are
measured in turn. Ours also looks at prompts, marks, signs and keeps every picture, and its queue survives a kill.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

PATIENCE = 600.0
WHAT = ("rate", "p50", "p95")
WORDS = ("a red fox", "a blue house", "two cats", "a green tree in the snow", "a yellow star", "a boat at night")

THEIRS = """
import io, base64, sys, threading, torch, uvicorn
from diffusers import StableDiffusionPipeline
from fastapi import FastAPI
from pydantic import BaseModel
dtype = getattr(torch, sys.argv[2])
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1], torch_dtype=dtype, local_files_only=True)
pipe.set_progress_bar_config(disable=True)
lock, app = threading.Lock(), FastAPI()

class Asked(BaseModel):
    prompt: str
    seed: int
    steps: int

@app.post("/generate")
def generate(asked: Asked) -> dict[str, str]:
    with lock:
        image = pipe(asked.prompt, num_inference_steps=asked.steps, guidance_scale=5.0, height=128, width=128,
                     generator=torch.Generator("cpu").manual_seed(asked.seed)).images[0]
    out = io.BytesIO()
    image.save(out, "PNG")
    return {"b64": base64.b64encode(out.getvalue()).decode()}

@app.get("/readyz")
def ready() -> bool:
    return True

uvicorn.run(app, port=int(sys.argv[3]), log_level="warning")
"""

Ask = Callable[[httpx.AsyncClient, dict[str, object]], Awaitable[bytes]]


@dataclass(frozen=True)
class Figures:
    """Pictures a second, and seconds from asking to having the file."""

    rate: float
    p50: float
    p95: float


async def ask_theirs(client: httpx.AsyncClient, asked: dict[str, object]) -> bytes:
    answer = await client.post("/generate", json=asked)
    return base64.b64decode(answer.raise_for_status().json()["b64"])


async def ask_ours(client: httpx.AsyncClient, asked: dict[str, object]) -> bytes:
    body = {"kind": "draw", "request": {**asked, "guidance": 5.0}, "previews": False}
    name = (await client.post("/api/v1/jobs", json=body)).raise_for_status().json()["id"]
    picture = ""
    async with client.stream("GET", f"/api/v1/jobs/{name}/events") as events:
        async for line in events.aiter_lines():
            if line.startswith("data:"):
                said = json.loads(line.removeprefix("data:"))
                found = said.get("pictures") or [said.get("picture")]
                picture = found[0] or picture
    return (await client.get(f"/api/v1/pictures/{picture}/file")).raise_for_status().content


async def measure(url: str, ask: Ask, clients: int, each: int, seed: int) -> Figures:
    """``clients`` at once, each asking ``each`` times, one after another."""
    waits: list[float] = []

    async def one(client: httpx.AsyncClient, number: int) -> None:
        chance = random.Random(seed * 1_000 + number)
        for _ in range(each):
            asked: dict[str, object] = {
                "prompt": chance.choice(WORDS),
                "seed": chance.randrange(2**31),
                "steps": chance.randint(8, 28),
            }
            began = time.perf_counter()
            file = await ask(client, asked)
            waits.append(time.perf_counter() - began)
            assert file.startswith(b"\x89PNG")

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as client:
        began = time.perf_counter()
        await asyncio.gather(*(one(client, number) for number in range(clients)))
        seconds = time.perf_counter() - began
    waits.sort()
    return Figures(len(waits) / seconds, statistics.median(waits), waits[min(len(waits) - 1, int(len(waits) * 0.95))])


@contextlib.contextmanager
def server(command: list[str], port: int, home: str) -> Iterator[str]:
    """A server's URL, once it is ready."""
    env = {**os.environ, "LIMNER_HOME": home, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as running:
        try:
            while not _ready(url):
                assert running.poll() is None, "the server ended"
                time.sleep(0.1)
            yield url
        finally:
            running.terminate()


def _ready(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/readyz").status_code == 200
    return False


def first_picture(url: str) -> float:
    """Seconds of one picture of the defaults, from a warm server."""

    async def ask() -> bytes:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
            return await ask_ours(client, {"prompt": WORDS[0], "seed": random.randrange(2**31)})

    began = time.perf_counter()
    asyncio.run(ask())
    return time.perf_counter() - began


def compared(ours: str, theirs: str, clients: int, each: int, runs: int) -> str:
    """Both in turn, ``runs`` times; medians, and the median of the ratios."""
    pairs = [
        (
            asyncio.run(measure(ours, ask_ours, clients, each, run)),
            asyncio.run(measure(theirs, ask_theirs, clients, each, run)),
        )
        for run in range(runs)
    ]
    words = []
    for name, place in (("ours", 0), ("theirs", 1)):
        rate, p50, p95 = (statistics.median(getattr(pair[place], what) for pair in pairs) for what in WHAT)
        words.append(f"{name} {rate:.2f}/s p50 {p50:.2f} p95 {p95:.2f}")
    gains = [statistics.median(a.rate / b.rate for a, b in pairs)]
    gains += [statistics.median(getattr(b, what) / getattr(a, what) for a, b in pairs) for what in WHAT[1:]]
    return f"{'; '.join(words)}; {gains[0]:.2f}x throughput, p50 {gains[1]:.2f}x, p95 {gains[2]:.2f}x"


async def overload(url: str, seconds: float, rate: float) -> str:
    """Ask ``rate`` times a second, whatever is answered: how long those wait who are turned away."""
    waits: list[float] = []
    statuses: dict[int, int] = {}

    async def one(client: httpx.AsyncClient) -> None:
        began = time.perf_counter()
        body = {"kind": "draw", "request": {"prompt": "a red fox"}, "previews": False}
        status = (await client.post("/api/v1/jobs", json=body)).status_code
        statuses[status] = statuses.get(status, 0) + 1
        if status == 429:
            waits.append(time.perf_counter() - began)

    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=httpx.Limits(max_connections=None)) as client:
        tasks = []
        for _ in range(int(seconds * rate)):
            tasks.append(asyncio.create_task(one(client)))
            await asyncio.sleep(1 / rate)
        await asyncio.gather(*tasks)
    waits.sort()
    p50, p99 = statistics.median(waits), waits[int(len(waits) * 0.99)]
    return f"{rate:.0f} a second: {statuses}; turned away after p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--overload", type=float, default=50.0, help="requests a second, about ten times what it can")
    given = parser.parse_args()
    import limner

    weights = str(Path(limner.__file__).parent / "assets" / "pocket")
    mine = [sys.executable, "-m", "limner", "serve", "--offline", "--port", "17860", "--most-waiting", "40"]
    other = [sys.executable, "-c", THEIRS, weights, given.dtype, "17861"]
    with (
        tempfile.TemporaryDirectory() as home,
        server(mine, 17860, home) as ours,
        server(other, 17861, home) as theirs,
    ):
        print(f"first picture of a started server {first_picture(ours):.2f} s, the next {first_picture(ours):.2f} s")
        asyncio.run(measure(theirs, ask_theirs, 1, 2, 99))
        for clients in given.clients:
            print(f"{clients:2} clients: {compared(ours, theirs, clients, given.each, given.runs)}", flush=True)
        print(asyncio.run(overload(ours, 10.0, given.overload)))


if __name__ == "__main__":
    main()
