"""A comparison as tables: how often an arm wins, where it loses, what each arm costs; and as CSV, a row a picture."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import NamedTuple

from limner.refine.compare import Comparison
from limner.refine.pairs import Paired

Z = NormalDist().inv_cdf(0.975)


class Won(NamedTuple):
    """How often an arm's pictures score above the other's, ties counting half. ``low`` and ``high`` bound it at 95 %,
    by unit: the prompt, where there are several."""

    rate: float
    low: float
    high: float


class Versus(NamedTuple):
    """An arm beside its reference, by the first judge."""

    arm: str
    reference: str
    won: Won
    gain: float


class Category(NamedTuple):
    """An arm beside its reference over the prompts of one category. ``gain`` is positive where the arm is better."""

    name: str
    arm: str
    prompts: int
    lost: int
    rate: float
    gain: float


class Cost(NamedTuple):
    """What an arm's pictures took: mean seconds, the highest memory in bytes; the model and its licence."""

    arm: str
    model: str
    licence: str
    restrictions: str
    seconds: float | None
    peak_bytes: int | None


def versus(found: Comparison) -> list[Versus]:
    """One row for each arm but the first."""
    rows = []
    for k, paired in enumerate(found.pairs, 1):
        rates = _rates(found, paired, k)
        rows.append(Versus(paired.b, paired.a, _won(rates), fmean(_gains(found, paired))))
    return rows


def categories(found: Comparison) -> list[Category]:
    """Where each arm loses most: categories by arm, the worst first. Empty where the prompts have no categories."""
    names = dict.fromkeys(text.category for text in found.study.texts if text.category)
    rows = []
    for k, paired in enumerate(found.pairs, 1):
        rates, gains = _rates(found, paired, k), _gains(found, paired)
        where = {text.words: text.category for text in found.study.texts}
        for name in names:
            inside = [i for i, unit in enumerate(paired.units) if where[unit] == name]
            if inside:
                mean = [fmean(rates[i]) for i in inside]
                lost = sum(gains[i] < 0 for i in inside)
                rows.append(Category(name, paired.b, len(inside), lost, fmean(mean), fmean(gains[i] for i in inside)))
    return sorted(rows, key=lambda row: row.gain)


def costs(found: Comparison) -> list[Cost]:
    """One row for each arm."""
    rows = []
    for k, arm in enumerate(found.study.arms):
        mine = [cost for (owner, _), each in found.taken.costs.items() if owner == k for cost in each]
        seconds = [cost.seconds for cost in mine if cost.seconds is not None]
        peaks = [cost.peak_bytes for cost in mine if cost.peak_bytes is not None]
        model = found.models[k]
        mean = fmean(seconds) if seconds else None
        rows.append(Cost(arm.name, model.name, model.licence, model.restrictions, mean, max(peaks, default=None)))
    return rows


def as_csv(found: Comparison) -> str:
    """A row a picture: prompt, category, arm, model, licence, seed, each scorer's value, seconds, memory, id."""
    metrics = found.study.scorers.metrics
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ("prompt", "text", "category", "arm", "model", "licence", "seed")
    writer.writerow((*head, *metrics, "seconds", "peak_bytes", "picture", "pixel_hash", "problem"))
    for (arm, text), pictures in sorted(found.scored.items()):
        model, words = found.models[arm], found.study.texts[text]
        prompt = found.study.arms[arm].request.prompt if words.prompt is None else words.prompt
        for each, cost in zip(pictures, found.taken.costs[arm, text], strict=True):
            values = [each.value(name) for name in metrics]
            facts = (cost.seconds, cost.peak_bytes, each.picture, each.pixel_hash, "; ".join(each.failures.values()))
            name = found.study.arms[arm].name
            writer.writerow(
                _safe(cell)
                for cell in (
                    prompt,
                    words.words,
                    words.category,
                    name,
                    model.name,
                    model.licence,
                    each.trial.seed,
                    *values,
                    *facts,
                )
            )
    return out.getvalue()


def _safe(cell: object) -> object:
    """A text that a spreadsheet would take for a formula gets a quote before it; ``None`` is empty."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t"):
        return f"'{cell}"
    return "" if cell is None else cell


def _gains(found: Comparison, paired: Paired) -> list[float]:
    values = paired.values[found.study.scorers.judges[0]]
    return [values.scorer.sign * (b - a) for a, b in zip(values.a, values.b, strict=True)]


def _rates(found: Comparison, paired: Paired, arm: int) -> list[list[float]]:
    """For each unit how often the arm wins: of one text the seed's own 0, 1/2 or 1; of several a value a seed, against
    the same seed of the same model, against all seeds of another model."""
    if found.study.unit == "seed":
        return [[_won_by(gain)] for gain in _gains(found, paired)]
    reference, judge = found.study.references[arm - 1], found.study.scorers.judges[0]
    sign = paired.values[judge].scorer.sign
    same = found.models[arm].name == found.models[reference].name
    where = {text.words: k for k, text in enumerate(found.study.texts)}
    rates = []
    for unit in paired.units:
        ours, theirs = ([each.value(judge) for each in found.scored[side, where[unit]]] for side in (arm, reference))
        if same:
            pairs = [
                [_won_by(sign * (b - a))] for a, b in zip(theirs, ours, strict=True) if a is not None and b is not None
            ]
        else:
            pairs = [[_won_by(sign * (b - a)) for a in theirs if a is not None] for b in ours if b is not None]
        rates.append([fmean(each) for each in pairs if each] or [0.5])
    return rates


def _won_by(gain: float) -> float:
    return 0.5 if gain == 0 else float(gain > 0)


def _won(rates: Sequence[Sequence[float]]) -> Won:
    """The mean over units, with Wilson's interval for as many trials as there are units: no unit's rate varies more
    than a yes or no would, so that it is wide enough, and it does not shrink to nothing where one side always wins."""
    n, p = len(rates), fmean(fmean(each) for each in rates)
    middle, wide = (p + Z**2 / (2 * n)) / (1 + Z**2 / n), Z**2 / (4 * n * n)
    half = Z * math.sqrt(p * (1 - p) / n + wide) / (1 + Z**2 / n)
    return Won(p, max(0.0, middle - half), min(1.0, middle + half))
