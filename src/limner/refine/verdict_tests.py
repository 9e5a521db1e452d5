"""The tests behind a verdict: a judge's paired test, a guard's non-inferiority, and what an open one still needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from limner.evaluate.statistics import (
    Interval,
    detectable_effect,
    not_worse_p,
    pairs_needed,
    sign_flip_interval,
    sign_flip_p,
)
from limner.refine.pairs import Paired, Values
from limner.refine.verdict_types import Finding, Role, Test

Floats = NDArray[np.float64]


def compare_judge(paired: Paired, name: str, level: float, hypotheses: int = 1, worthwhile: float = 0.0) -> Test:
    """A judge's test, not yet adjusted for the others; what it can detect and what ``worthwhile`` standard deviations
    over seeds would need are, at Holm's hardest step."""
    values = paired.values[name]
    test = _test("judge", values, sign_flip_p(gains(values)), level)
    detectable = _or_none(detectable_effect(test.n, level / hypotheses) * test.sd) if test.sd > 0 else None
    sides = (values.a, values.spread_a), (values.b, values.spread_b)
    spreads = [_sd(np.asarray(side)) if spread is None else spread for side, spread in sides]
    small = worthwhile * math.hypot(*spreads) / math.sqrt(2)
    needed = pairs_needed(small / test.sd, level / hypotheses) if test.sd > 0 else None
    return test.model_copy(update={"detectable": detectable, "worthwhile": small, "needed": needed})


def is_slight(test: Test) -> bool:
    """Whether the interval leaves no difference that is worth having, either way."""
    if test.low is None or test.high is None or not test.worthwhile:
        return False
    return -test.worthwhile < test.low and test.high < test.worthwhile


def guard(paired: Paired, name: str, role: str, margin: float, level: float, toward: int) -> Test:
    """Whether the arm that would win (B: ``toward`` 1, A: -1) keeps what must be kept.

    The margin is ``margin`` standard deviations, over seeds, of the arm that would lose; where that has no spread at
    all, nothing may be lost.
    """
    values = paired.values[name]
    d = toward * gains(values)
    loser = (values.a, values.spread_a) if toward > 0 else (values.b, values.spread_b)
    allowed = margin * (loser[1] if loser[1] is not None else _sd(np.asarray(loser[0])))
    p = not_worse_p(d, allowed) if allowed > 0 else float(bool((d < 0).any()))
    if p <= level:
        finding: Finding = "kept"
    else:
        finding = "lost" if d.mean() < 0 and sign_flip_p(d) <= level else "open"
    kind: Role = "alignment" if role == "alignment" else "diversity"
    return _test(kind, values, p, level).model_copy(update={"margin": allowed, "finding": finding})


def gains(values: Values) -> Floats:
    """Differences B - A per unit, turned so that more is better."""
    return values.scorer.sign * (np.asarray(values.b, dtype=np.float64) - np.asarray(values.a, dtype=np.float64))


def missing_for(
    judged: Sequence[Test], guards: Sequence[Test], toward: int | None, strict: float, level: float
) -> int | None:
    """About how many more units would settle what is open, if what was seen is so; ``None`` where no number would.

    Where no judge found anything (``toward`` is ``None``): the judge that is nearest to it, at level ``strict``. Else
    all guards that are open, one-sided at ``level``.
    """
    if toward is None:
        needs = [_short(test, test.gain, strict) for test in judged if test.finding != "slight"]
        return min((need for need in needs if need is not None), default=None)
    # pairs_needed is of two-sided tests; a one-sided one at level is a two-sided one at twice that.
    needs = [
        _short(test, toward * test.gain + (test.margin or 0), 2 * level) for test in guards if test.finding == "open"
    ]
    return None if None in needs else max((need for need in needs if need is not None), default=None)


def _short(test: Test, effect: float, level: float) -> int | None:
    """Units beyond those there are, at least one."""
    if test.sd == 0:
        return None
    needed = pairs_needed(abs(effect) / test.sd, level)
    return None if needed is None else max(1, needed - test.n)


def _test(role: Role, values: Values, p: float, level: float) -> Test:
    d, a, b = gains(values), np.asarray(values.a), np.asarray(values.b)
    sd = _sd(d)
    interval = sign_flip_interval(d, level)
    return Test(
        role=role,
        scorer=values.scorer,
        n=len(d),
        mean_a=float(a.mean()),
        mean_b=float(b.mean()),
        gain=float(d.mean()),
        sd=sd,
        low=_finite(interval, 0),
        high=_finite(interval, 1),
        p=p,
        correlation=_correlation(a, b),
        wins=int((d > 0).sum()),
        ties=int((d == 0).sum()),
        losses=int((d < 0).sum()),
    )


def _finite(interval: Interval, end: int) -> float | None:
    return _or_none(interval[end])


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _sd(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _correlation(a: Floats, b: Floats) -> float | None:
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
