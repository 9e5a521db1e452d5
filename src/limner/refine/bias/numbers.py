"""How one-sided, how varied, how different between prompts: numbers of an audit with intervals clustered by prompt.

Prompts are drawn with replacement and keep their seeds, since what an audit speaks of is prompts like these. Each
number that grows with chance is given beside what chance alone would give with as many pictures: sixteen tosses of a
fair coin are one-sided by 0.1 on average.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from limner.refine.bias.error import Confusion, corrected, wilson
from limner.types import Frozen

DRAWS = 4_000
ALPHA = 0.05
Floats = NDArray[np.float64]


class Number(Frozen):
    """A value with its 95 % interval; ``chance`` is what a model without any leaning would get."""

    value: float
    low: float
    high: float
    chance: float | None = None


class Line(Frozen):
    """One prompt. ``share`` is of the first class among its clear pictures; ``None`` where none was."""

    name: str
    kind: str
    counts: Mapping[str, int]
    clear: int
    share: float | None = None
    low: float = 0.0
    high: float = 1.0


class Measured(Frozen):
    """An axis over all prompts. ``share``: of the first class. ``one_sided``: mean distance of a prompt's share from a
    half (HEIM's). ``entropy``: mean bits a prompt, 1 is even. ``between``: how much prompts differ, as a standard
    deviation with the chance of few seeds taken out. ``unclear``, ``nobody``: shares of all pictures. ``corrected`` is
    whether the classifier's error was taken out of the first four. Those are ``None`` where nothing was clear."""

    axis: str
    classes: tuple[str, str]
    pictures: int
    unclear: float
    nobody: float
    share: Number | None
    one_sided: Number | None
    entropy: Number | None
    between: Number | None
    corrected: bool
    lines: tuple[Line, ...]


def line(name: str, kind: str, answers: Sequence[str], classes: tuple[str, str]) -> Line:
    """One prompt's answers, counted."""
    counts = {each: answers.count(each) for each in dict.fromkeys((*classes, *answers))}
    clear = counts[classes[0]] + counts[classes[1]]
    if not clear:
        return Line(name=name, kind=kind, counts=counts, clear=0)
    low, high = wilson(counts[classes[0]], clear)
    share = counts[classes[0]] / clear
    return Line(name=name, kind=kind, counts=counts, clear=clear, share=share, low=low, high=high)


def measured(
    axis: str,
    classes: tuple[str, str],
    lines: Sequence[Line],
    error: Confusion | None = None,
    rng: np.random.Generator | None = None,
) -> Measured:
    """All numbers of an axis. ``error``, where it is usable, is taken out, its own doubt included."""
    rng = rng or np.random.default_rng(0)
    known = [each for each in lines if each.share is not None]
    total = sum(sum(each.counts.values()) for each in lines)
    used = error if error is not None and error.usable else None
    numbers: dict[str, Number | None] = {"share": None, "one_sided": None, "entropy": None, "between": None}
    if known:
        numbers = _numbers(known, used, rng)
    return Measured(
        axis=axis,
        classes=classes,
        pictures=total,
        unclear=_part(lines, "unclear", total),
        nobody=_part(lines, "nobody", total),
        share=numbers["share"],
        one_sided=numbers["one_sided"],
        entropy=numbers["entropy"],
        between=numbers["between"],
        corrected=used is not None,
        lines=tuple(lines),
    )


def _part(lines: Sequence[Line], name: str, total: int) -> float:
    return sum(each.counts.get(name, 0) for each in lines) / total if total else 0.0


def _numbers(lines: Sequence[Line], error: Confusion | None, rng: np.random.Generator) -> dict[str, Number | None]:
    shares = np.array([each.share for each in lines], np.float64)
    sizes = np.array([each.clear for each in lines], np.float64)
    chosen = rng.integers(len(lines), size=(DRAWS, len(lines)))
    point, drawn = shares, shares[chosen]
    gain: Floats | float = 1.0
    if error is not None:
        first, second = (each[:, None] for each in error.drawn(DRAWS, rng))
        rates = error.rate(error.classes[0]), error.rate(error.classes[1])
        point, drawn = corrected(shares, *rates), corrected(drawn, first, second)
        gain = 1 / (rates[0] - rates[1])
    noise = shares * (1 - shares) / np.maximum(sizes - 1, 1) * np.square(gain)

    def number(statistic: Callable[[Floats], Floats], chance: Floats | None = None) -> Number:
        low, high = np.quantile(statistic(drawn), [ALPHA / 2, 1 - ALPHA / 2])
        expected = None if chance is None or error is not None else float(chance.mean())
        return Number(value=float(statistic(point[None])[0]), low=float(low), high=float(high), chance=expected)

    coin = [_of_coin(int(n)) for n in sizes]
    found: dict[str, Number | None] = {
        "share": number(lambda p: p.mean(1)),
        "one_sided": number(lambda p: np.abs(p - 0.5).mean(1), np.array([each[0] for each in coin])),
        "entropy": number(lambda p: entropy(p).mean(1), np.array([each[1] for each in coin])),
        "between": None,
    }
    if len(lines) > 1:
        low, high = np.quantile(_between(drawn, noise[chosen]), [ALPHA / 2, 1 - ALPHA / 2])
        found["between"] = Number(
            value=float(_between(point[None], noise[None])[0]), low=float(low), high=float(high), chance=0.0
        )
    return found


def _between(shares: Floats, noise: Floats) -> Floats:
    spread: Floats = np.sqrt(np.maximum(shares.var(1, ddof=1) - noise.mean(1), 0.0))
    return spread


def entropy(shares: Floats) -> Floats:
    """Bits of a share, 0 (all alike) to 1 (half and half)."""
    p = np.clip(shares, 1e-12, 1 - 1e-12)
    bits: Floats = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return bits


def _of_coin(n: int) -> tuple[float, float]:
    """What ``n`` tosses of a fair coin give on average: distance from a half, and bits."""
    shares = np.arange(n + 1, dtype=np.float64) / n
    odds = np.array([comb(n, k) / 2**n for k in range(n + 1)])
    return float((odds * np.abs(shares - 0.5)).sum()), float((odds * entropy(shares)).sum())
