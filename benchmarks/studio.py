"""The studio with a library of 10,000 pictures: how long the server takes for the gallery's pages and fragments.

python -m benchmarks.studio [--pictures 10000] [--home FOLDER] [--runs 20]

The library is filled with rows as drawing leaves them (whole Records, scores, ratings, some lineage) over three years,
and small files. ``--home`` keeps it, to look at it: LIMNER_HOME=FOLDER limner serve. Times are of the application, in
process: request in, last byte out, without a network or a browser.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from limner.config import Settings
from limner.library.browse import STRETCH, key
from limner.library.entries import Entry, Query
from limner.library.files import pixel_hash
from limner.library.store import Library, entry_of
from limner.serve.app import create_app
from limner.serve.service import Service
from limner.session.birth import birth
from limner.types import Drawn, Facts, Plan, Record, Request, Score

GOAL = 150.0  # milliseconds
COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "white", "black")
THINGS = ("fox", "house", "cat", "tree", "star", "boat", "dog", "flower", "bird", "car")
PLACES = ("in the snow", "at night", "by the sea", "on a hill", "in the rain", "on a table")
MODELS = ("pocket", "pocket", "pocket", "sdxl", "sd15", "flux-schnell")
DAYS = 1_000
SCORED = 0.5
RATED = 0.2
KIN = 0.1


def fill(library: Library, plan: Plan, count: int, seed: int = 7, side: int = 96) -> None:
    """Put ``count`` pictures into an empty library: ``plan`` is what they are drawn by, but for their words."""
    random_ = random.Random(seed)
    end = datetime(2026, 11, 22, 12, tzinfo=UTC)
    ages = sorted((random_.random() ** 1.5 * DAYS for _ in range(count)), reverse=True)
    entries: list[Entry] = []
    scores: list[tuple[str, Score]] = []
    for age in ages:
        words = f"a {random_.choice(COLOURS)} {random_.choice(THINGS)} {random_.choice(PLACES)}"
        created = (end - timedelta(days=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
        entry = _entry(library, plan, words, created, random_, side)
        parent = random_.choice(entries[-50:]).id if entries and random_.random() < KIN else None
        rating = random_.randint(1, 5) if random_.random() < RATED else None
        entries.append(_changed(entry, parent=parent, rating=rating, model=random_.choice(MODELS)))
        if random_.random() < SCORED:
            scores += [(entry.id, _score(name, random_)) for name in ("pocket-clip", "pocket-aesthetic")]
    library.insert(entries)
    library.add_scores(scores)


def _entry(library: Library, plan: Plan, words: str, created: str, random_: random.Random, side: int) -> Entry:
    pixels = _pixels(random_, side)
    record: Record = birth(plan, Drawn(0, pixels, Facts("cpu", 1, {"total": 1.2}, 400_000_000, {})))
    record = record.model_copy(update={"prompt": words, "created": created, "pixel_hash": pixel_hash(pixels)})
    name = library.new_id()
    path = library.root / "images" / created[:4] / created[5:7] / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    path.write_bytes(out.getvalue())
    return entry_of(name, path, record, "png", (side, side))


def _changed(entry: Entry, **changes: object) -> Entry:
    from dataclasses import replace

    return replace(entry, **changes)  # type: ignore[arg-type]


def _pixels(random_: random.Random, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A shape on a ground, so that one can tell them apart."""
    ground, shape = (np.array([random_.randint(30, 225) for _ in range(3)], np.uint8) for _ in range(2))
    y, x = np.mgrid[:side, :side] / side - 0.5
    cx, cy, size = (random_.uniform(-0.2, 0.2), random_.uniform(-0.2, 0.2), random_.uniform(0.15, 0.35))
    inside = (np.maximum(abs(x - cx), abs(y - cy)) if random_.random() < 0.5 else np.hypot(x - cx, y - cy)) < size
    return np.where(inside[..., None], shape, ground).astype(np.uint8)


def _score(name: str, random_: random.Random) -> Score:
    return Score(scorer=name, revision="1", value=round(random_.gauss(0.3, 0.1), 4), scale="cosine", domain="pocket")


async def measure(service: Service, runs: int) -> Iterable[tuple[str, float, float, int]]:
    """(what, median, slowest) in milliseconds, and bytes."""
    app = create_app(service)
    transport = httpx.ASGITransport(app)
    found = []
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        library = service.session.library
        entry = library.list()[0]
        stretches = library.browse.stretches(Query())
        middle = next(each for each in stretches[len(stretches) // 2 :] if each.count == STRETCH)
        for what, url in (
            ("gallery", "/gallery"),
            ("gallery, words", "/gallery?q=red+fox"),
            ("gallery, rating and model", "/gallery?q=rating%3A4+model%3Asdxl"),
            ("gallery, score", "/gallery?q=score%3Apocket-clip%3E0.3"),
            ("gallery, best scored first", "/gallery?q=sort%3Ascore%3Apocket-clip"),
            ("gallery, nothing found", "/gallery?q=zeppelin+rating%3A5"),
            ("gallery, 120 tiles more", f"/ui/gallery?from={key(middle.first)}&to={key(middle.last)}"),
            ("new pictures", f"/ui/gallery/new?since={entry.created}_{entry.id}"),
            ("image page", f"/i/{entry.id}"),
            ("thumbnail, kept", f"/api/v1/pictures/{entry.id}/thumbnail?size=256"),
        ):
            found.append((what, *await _timed(client, url, runs)))
    return found


async def _timed(client: httpx.AsyncClient, url: str, runs: int) -> tuple[float, float, int]:
    times, size = [], 0
    for _ in range(runs + 1):
        began = time.perf_counter()
        answer = await client.get(url, headers={"accept": "text/html"})
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, (url, answer.status_code, answer.text[:300])
        size = len(answer.content)
    return statistics.median(times[1:]), max(times[1:]), size


def main(show: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--runs", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or Path(folder)
        service = Service(Settings.load(home, env={}))
        library = service.session.library
        if library.count() < given.pictures:
            (plan,) = service.session.plan(Request.of(prompt="a red fox in the snow", seed=1))
            began = time.perf_counter()
            fill(library, plan, given.pictures - library.count())
            show(f"filled with {given.pictures:,} pictures in {time.perf_counter() - began:.0f} s")
        for what, median, slowest, size in asyncio.run(measure(service, given.runs)):
            late = "" if median <= GOAL else "  LATE"
            show(f"{what:<28} {median:7.1f} ms   slowest {slowest:7.1f} ms   {size / 1000:7.0f} kB{late}")


if __name__ == "__main__":
    main()
