"""Sequential halving over common seeds: all candidates at 2 seeds, the better half at 4, a quarter at 8 ...

Karnin, Koren and Somekh 2013, "Almost optimal exploration in multi-armed bandits". Seeds are common to all candidates
and those of a rung hold those of the one before, so that nothing is drawn twice.
"""

from __future__ import annotations

from math import ceil

from limner.types import Frozen

SEEDS = (2, 4, 8, 16)
MOST = 64
"""Candidates at the start, at most."""
FEWEST = 2


class Rung(Frozen):
    """``candidates`` are compared over the first ``seeds`` seeds."""

    candidates: int
    seeds: int


def ladder(candidates: int) -> tuple[Rung, ...]:
    """The rungs for so many candidates: 16 at 2 seeds, 8 at 4, 4 at 8, 2 at 16."""
    counts = [ceil(candidates / 2**k) for k in range(len(SEEDS))]
    return tuple(
        Rung(candidates=count, seeds=seeds)
        for k, (count, seeds) in enumerate(zip(counts, SEEDS, strict=True))
        if k == 0 or (count >= FEWEST and count < counts[k - 1])
    )


def pictures(rungs: tuple[Rung, ...]) -> int:
    """What the rungs cost, the user's own prompt at every seed included."""
    drawn, before = rungs[-1].seeds, 0
    for rung in rungs:
        drawn += rung.candidates * (rung.seeds - before)
        before = rung.seeds
    return drawn


def affordable(budget: int) -> tuple[Rung, ...]:
    """The longest ladder that so many pictures pay for; empty where they do not pay for two candidates."""
    best: tuple[Rung, ...] = ()
    for candidates in range(FEWEST, MOST + 1):
        rungs = ladder(candidates)
        if pictures(rungs) <= budget:
            best = rungs
    return best
