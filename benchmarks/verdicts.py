"""How often a verdict says "better" where nothing is, and how often it finds what is: thousands of simulated ones.

    python -m benchmarks.verdicts --runs 2000 --json verdicts.json

No picture is drawn and no model loaded: scores are Gaussian, with the standard deviation over seeds as their unit.
Diversity is measured on vectors of arms that are as diverse as each other, and of one that gives one kind of picture of
four; "plain distances" leaves the jackknife out, as was done before. The false positives of the whole of refine, search
included, are simulated by ``tests/unit/refine/test_simulation.py``.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from limner.evaluate.vendi import mean_distances
from limner.refine.diversity import pseudo_values
from limner.refine.pairs import Paired, Scorer, Values
from limner.refine.verdict import judge

Floats = NDArray[np.float64]
Z = NormalDist().inv_cdf(0.975)


class Share(NamedTuple):
    """A share of runs with its 95 % interval (Wilson)."""

    what: str
    runs: int
    share: float
    low: float
    high: float


def share(what: str, count: int, runs: int) -> Share:
    p, z = count / runs, Z
    middle, half = p + z * z / (2 * runs), z * math.sqrt(p * (1 - p) / runs + z * z / (4 * runs * runs))
    return Share(what, runs, p, max(0.0, (middle - half) / (1 + z * z / runs)), (middle + half) / (1 + z * z / runs))


def paired(sides: Mapping[str, tuple[Floats, Floats]]) -> Paired:
    values = {
        name: Values(scorer=Scorer(name=name, revision="1"), a=tuple(map(float, a)), b=tuple(map(float, b)))
        for name, (a, b) in sides.items()
    }
    n = len(next(iter(sides.values()))[0])
    return Paired(a="A", b="B", unit="seed", units=tuple(map(str, range(n))), planned=n, values=values)


def scores(rng: np.random.Generator, n: int, gain: float, correlation: float = 0.3) -> tuple[Floats, Floats]:
    """A's and B's scores over n seeds, whose common part makes them correlate."""
    seed = math.sqrt(correlation) * rng.normal(size=n)
    a, b = (seed + math.sqrt(1 - correlation) * rng.normal(size=n) for _ in range(2))
    return a, b + gain


def vectors(rng: np.random.Generator, n: int, seed: Floats, *, modes: int = 4) -> Floats:
    """n pictures of an arm as a tower might see them: so many kinds, and scatter that the seed decides in part."""
    scatter = math.sqrt(0.3) * seed + math.sqrt(0.7) * rng.normal(size=seed.shape)
    kinds = np.eye(seed.shape[1])[1 : 1 + modes] * 0.4
    made: Floats = np.eye(seed.shape[1])[0] + kinds[rng.integers(modes, size=n)] + 0.08 * scatter
    return made


def spread(rng: np.random.Generator, n: int, modes: int, *, plain: bool = False) -> tuple[Floats, Floats]:
    """Both arms' diversity a seed, B with so many kinds of A's four; ``plain``: without the jackknife."""
    seed = rng.normal(size=(n, 16))
    a, b = (mean_distances(list(vectors(rng, n, seed, modes=each))) for each in (4, modes))
    return (a, b) if plain else (pseudo_values(a), pseudo_values(b))


def judged(runs: int, n: int, gain: float, *, worthwhile: float, modes: int = 4, plain: bool = False) -> Counter[str]:
    """Outcomes of verdicts on B, which is better by ``gain`` to the judge, as aligned as A, and of so many kinds."""
    rng, found = np.random.default_rng([n, round(100 * gain), modes]), Counter[str]()
    for _ in range(runs):
        sides = {"judge": scores(rng, n, gain), "words": scores(rng, n, gain / 2)}
        whole = paired({**sides, "spread": spread(rng, n, modes, plain=plain)})
        verdict = judge(whole, judges=["judge"], alignment="words", diversity="spread", worthwhile=worthwhile)
        found[verdict.outcome] += 1
        found["judge: B"] += verdict.judges[0].finding == "B"
        found["diversity: lost"] += verdict.guards[1].finding == "lost"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=2_000, help="verdicts of each case")
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--worthwhile", type=float, default=0.2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    said: list[Share] = []

    def told(what: str, make: Callable[[], Counter[str]], *names: str) -> None:
        began, found = time.perf_counter(), make()
        for name in names:
            said.append(share(f"{what}: {name}", found[name], args.runs))
            each = said[-1]
            print(f"{each.what:<66} {each.share:6.1%}  ({each.low:.1%} to {each.high:.1%})", flush=True)
        print(f"  {args.runs} verdicts in {time.perf_counter() - began:.0f} s", flush=True)

    def run(gain: float, *, modes: int = 4, plain: bool = False) -> Callable[[], Counter[str]]:
        return lambda: judged(args.runs, args.pairs, gain, worthwhile=args.worthwhile, modes=modes, plain=plain)

    told("no effect", run(0.0), "better", "worse", "judge: B", "diversity: lost")
    for gain in (0.5, 0.8, 1.2):
        told(f"better by {gain:g} SD", run(gain), "better", "traded off", "no evidence", "judge: B", "diversity: lost")
    told("better by 1.2 SD, plain distances", run(1.2, plain=True), "better", "traded off", "diversity: lost")
    told("better by 1.2 SD, one kind of four", run(1.2, modes=1), "better", "traded off", "diversity: lost")
    if args.json is not None:
        args.json.write_text(json.dumps([each._asdict() for each in said], indent=1))


if __name__ == "__main__":
    main()
