"""The prompt policy: what a review costs, and how it does on the development set (which the rules were written beside).

    python -m benchmarks.prompt_policy [--runs 200]

Prints the time of reading the lists (once a process), the median of reviews of prompts of 100 words that were never
seen before, plain and with brackets, and recall and false blocks by category with 95 % intervals (Wilson). No picture
is drawn.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import time
from collections import Counter
from math import sqrt
from pathlib import Path
from statistics import median

SETS = Path(__file__).parents[1] / "tests" / "safety"
WORDS = 100
Z = 1.959964  # 95 %


def interval(hits: int, n: int) -> tuple[float, float]:
    """Wilson's interval of a share."""
    share, square = hits / n, Z * Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def lines(name: str) -> list[str]:
    return [line for line in (SETS / name).read_text("utf-8").splitlines() if line.strip() and line[0] != "#"]


def speed(runs: int) -> None:
    began = time.perf_counter()
    from limner.errors import Refused
    from limner.safety.policy import Policy
    from limner.safety.said import Said

    imported = time.perf_counter()
    Policy().review(Said("a red fox"))
    print(f"import {1e3 * (imported - began):.0f} ms, lists read {1e3 * (time.perf_counter() - imported):.0f} ms")
    rng = random.Random(1)
    innocent = lines("dev_innocent.txt")
    for name, form in (("plain", "{}"), ("with brackets", "(({}:1.2) [day|night]:1.1)")):
        taken = []
        for k in range(runs):
            words = [word for line in rng.sample(innocent, 30) for word in line.split()][: WORDS - 1]
            prompt = form.format(" ".join([*words, str(k)]))
            began = time.perf_counter()
            with contextlib.suppress(Refused):  # innocent words of thirty prompts may be less so together
                Policy().review(Said(prompt))
            taken.append(1e3 * (time.perf_counter() - began))
        high = sorted(taken)[int(0.95 * runs)]
        print(f"{WORDS} words, {name}: {median(taken):.2f} ms (median), {high:.2f} ms (95th percentile)")


def development() -> None:
    from limner.errors import Refused
    from limner.safety.policy import Policy
    from limner.safety.said import Said

    def refused(prompt: str) -> bool:
        try:
            Policy().review(Said(prompt))
        except Refused:
            return True
        return False

    counts: dict[str, Counter[bool]] = {}
    for line in lines("dev_blocked.tsv"):
        category, prompt = line.split("\t")
        counts.setdefault(category, Counter())[refused(prompt)] += 1
    innocent = Counter(refused(prompt) for prompt in lines("dev_innocent.txt"))
    counts["innocent (false blocks)"] = innocent
    for category, found in counts.items():
        low, high = interval(found[True], found.total())
        print(f"{category:24} {found[True]:4} of {found.total():4} refused ({100 * low:.1f} to {100 * high:.1f} %)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    speed(parser.parse_args().runs)
    development()


if __name__ == "__main__":
    main()
