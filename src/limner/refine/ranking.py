"""Comparing candidates on common seeds by several scorers: mean of their ranks, with a floor under the user's words.

Scorers are hacked one at a time; the mean of ranks is what holds up best (Ma et al. 2025, arXiv:2501.09732). A
candidate's worth by one scorer is its mean gain over the user's own prompt on the same seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from limner.evaluate.statistics import mean_ranks
from limner.refine.arms import Scored
from limner.types import Frozen

Scores = Mapping[int, Scored]
"""A candidate's scored trials by seed."""


class Standing(Frozen):
    """How a candidate stood at a rung: the seeds it was compared on, its mean gain over the user's prompt by each
    scorer (turned so that more is better), its place (1 is best) and why it went no further; empty: it went on."""

    candidate: str
    seeds: int
    gains: Mapping[str, float]
    rank: float | None = None
    place: int | None = None
    ahead: bool = False
    out: str = ""


def gain(own: Scores, scored: Scores, metric: str, sign: int) -> tuple[float, int] | None:
    """(mean gain over the seeds at which both have a value, how many those are); ``None`` for none."""
    common = [seed for seed in scored if seed in own]
    pairs = [(own[seed].value(metric), scored[seed].value(metric)) for seed in common]
    gains = [sign * (b - a) for a, b in pairs if a is not None and b is not None]
    return (sum(gains) / len(gains), len(gains)) if gains else None


def spread(groups: Sequence[Scores], metric: str) -> float:
    """Standard deviation over seeds, pooled within candidates; 0 where no two values are of one candidate."""
    variances = []
    for scored in groups:
        values = [value for each in scored.values() if (value := each.value(metric)) is not None]
        if len(values) > 1:
            variances.append(float(np.var(values, ddof=1)))
    return math.sqrt(sum(variances) / len(variances)) if variances else 0.0


def standings(
    own: Scores,
    pool: Mapping[str, Scores],
    scorers: Mapping[str, int],
    *,
    floor: str | None,
    margin: float,
    faulty: Mapping[str, str] = MappingProxyType({}),
) -> list[Standing]:
    """All candidates at a rung, best first; those that are out come last.

    ``scorers``: 1 or -1 for those of which more or less is better. ``floor`` names the scorer of alignment with the
    user's words: out is who loses more than ``margin`` standard deviations by it, and the error of that mean on top.
    Out, too, are those in ``faulty``, for the reasons given there.
    """
    seeds = max((len(scored) for scored in pool.values()), default=0)
    found = {name: {m: gain(own, scored, m, sign) for m, sign in scorers.items()} for name, scored in pool.items()}
    bound = {m: spread([own, *pool.values()], m) for m in ([] if floor is None else [floor])}
    known: list[Standing] = []
    out: list[Standing] = []
    for name, by in found.items():
        gains = {m: each[0] for m, each in by.items() if each is not None}
        missing = [m for m, each in by.items() if each is None]
        valueless = f"no value by {', '.join(missing)}" if missing else ""
        reason = valueless or faulty.get(name) or _strays(by, floor, bound, margin)
        (out if reason else known).append(Standing(candidate=name, seeds=seeds, gains=gains, out=reason))
    return [*_ranked(known, scorers), *out]


def _strays(
    by: Mapping[str, tuple[float, int] | None], floor: str | None, bound: Mapping[str, float], margin: float
) -> str:
    if floor is None or (found := by[floor]) is None:
        return ""
    value, count = found
    allowed = margin * bound[floor] + bound[floor] * math.sqrt(2 / count)
    return "strays from your words" if value < -allowed and allowed > 0 else ""


def _ranked(known: Sequence[Standing], scorers: Mapping[str, int]) -> list[Standing]:
    if not known:
        return []
    # The user's own prompt is ranked among them: its gain is zero by every scorer.
    table = [[each.gains[m] for each in known] + [0.0] for m in scorers]
    ranks = mean_ranks(table)
    own = float(ranks[-1])
    order = sorted(range(len(known)), key=lambda k: (-ranks[k], k))
    return [
        known[k].model_copy(update={"rank": float(ranks[k]), "place": place, "ahead": bool(ranks[k] > own)})
        for place, k in enumerate(order, 1)
    ]
