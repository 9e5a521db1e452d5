"""What sharing model calls is worth here: eight pocket pictures, one job a call against all jobs in one.

python -m benchmarks.batching [--runs 3]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from limner import Request, Session
from limner.config import Settings


def seconds(session: Session, batching: str) -> float:
    request = Request.of(prompt="a red fox in the snow", n=8, seed=1, steps=20, batching=batching)
    began = time.perf_counter()
    session.generate(request).result()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    with (
        tempfile.TemporaryDirectory() as home,
        Session(settings=Settings.load(Path(home), {}), keep=False, offline=True) as session,
    ):
        figures: dict[str, list[float]] = {"alone": [], "shared": []}
        for _ in range(runs + 1):  # the first of each loads and is not counted
            for batching, taken in figures.items():
                taken.append(seconds(session, batching))
    alone, shared = (statistics.median(taken[1:]) for taken in figures.values())
    print(f"8 pictures alone {alone:.2f} s, shared {shared:.2f} s: {alone / shared:.2f}x (median of {runs})")


if __name__ == "__main__":
    main()
