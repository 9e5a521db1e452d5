"""False alarms: the shipped key against very many unmarked pictures. It writes what it found batch by batch and goes on
where it stopped.

    python -m benchmarks.watermark_false --pictures 100000 --log false.jsonl
"""

from __future__ import annotations

import argparse
import io
import json
import math
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.watermark_pictures import PAINTERS
from limner.safety.watermark import detect
from limner.safety.watermark.detect import PRESENT, PRESENT_WITH_PAYLOAD
from limner.types.base import Pixels

BATCH = 500
KINDS = tuple(PAINTERS)


def picture(batch: int, number: int) -> tuple[str, Pixels]:
    """Picture ``number`` of a batch: 160 to 352 pixels a side, a third of them as a JPEG, a third rescaled."""
    rng = np.random.default_rng([7, batch, number])
    kind = KINDS[number % len(KINDS)]
    h, w = (int(v) for v in rng.integers(160, 353, 2))
    pixels = PAINTERS[kind](rng, h, w)
    way = rng.integers(0, 3)
    if way == 1:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "jpeg", quality=int(rng.integers(30, 96)))
        pixels = np.asarray(Image.open(stream))
    elif way == 2:
        scale = rng.uniform(0.6, 1.4)
        size = max(64, round(w * scale)), max(64, round(h * scale))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    return kind, pixels


def search(batch: int) -> dict[str, object]:
    """One batch: how often each score (in tenths) came, the highest of each kind, and every payload read."""
    scores: Counter[int] = Counter()
    highest: dict[str, float] = {}
    alarms = []
    for number in range(BATCH):
        kind, pixels = picture(batch, number)
        found = detect(pixels)
        scores[math.floor(found.score * 10)] += 1
        highest[kind] = max(highest.get(kind, 0.0), round(found.score, 2))
        if found.present or found.payload is not None:
            alarms.append({"number": number, "kind": kind, "score": found.score, "payload": found.payload})
    return {"batch": batch, "scores": dict(sorted(scores.items())), "highest": highest, "alarms": alarms}


def summary(log: Path) -> str:
    """What a log says: pictures, alarms, the highest scores and the tail."""
    scores: Counter[int] = Counter()
    highest: dict[str, float] = {}
    alarms = 0
    for line in log.read_text().splitlines():
        held = json.loads(line)
        scores.update({int(score): count for score, count in held["scores"].items()})
        for kind, value in held["highest"].items():
            highest[kind] = max(value, highest.get(kind, 0.0))
        alarms += len(held["alarms"])
    total = sum(scores.values())
    ordered = sorted(scores.elements())
    tail = {
        edge: sum(n for score, n in scores.items() if score >= edge * 10) for edge in (5.0, 5.5, 6.0, 6.5, 7.0, 7.5)
    }
    upper = 3.0 / total  # the rule of three: 95 %, none seen
    return "\n".join(
        (
            f"{total} unmarked pictures, {alarms} alarms (thresholds {PRESENT}, {PRESENT_WITH_PAYLOAD} with payload)",
            f"rate, if none was seen, below {upper:.1e} (95 %)",
            f"score: median {ordered[total // 2] / 10}, highest by kind {dict(sorted(highest.items()))}",
            f"pictures at or above: {tail}",
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--log", type=Path, default=Path("watermark_false.jsonl"))
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after the batch that passes this")
    given = parser.parse_args()
    started = time.monotonic()
    done = len(given.log.read_text().splitlines()) if given.log.exists() else 0
    for batch in range(done, -(-given.pictures // BATCH)):
        line = json.dumps(search(batch))
        with given.log.open("a") as log:
            log.write(line + "\n")
        if time.monotonic() - started > given.seconds:
            break
    print(summary(given.log))


if __name__ == "__main__":
    main()
