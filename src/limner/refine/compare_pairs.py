"""From scored pictures to paired values: over the seeds of one text, or over texts, each the mean of its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from limner.refine.arms import Difference, Scored
from limner.refine.compare_scoring import scorer_of
from limner.refine.compare_study import Study
from limner.refine.faults import told
from limner.refine.pairs import Paired, Values
from limner.types import Notice

Cells = Mapping[tuple[int, int], Sequence[Scored]]
"""Scored pictures by (arm, text), in the order of the seeds."""
Spreads = Mapping[tuple[int, int], Sequence[float]]
"""As many shares in the arm's diversity."""
_NAMED = 6


def paired_of(
    study: Study, cells: Cells, spreads: Spreads, a: int, b: int, units: int, differing: tuple[Difference, ...]
) -> Paired:
    """Arms ``a`` and ``b`` over the first ``units`` units. Units that lack a value of either are left out and told."""
    by_unit = _by_seed if study.unit == "seed" else _by_text
    names = [*study.scorers.metrics, *([] if study.scorers.diversity is None else [study.scorers.diversity])]
    sides = {name: (by_unit(study, cells, spreads, a, name), by_unit(study, cells, spreads, b, name)) for name in names}
    whole = [k for k in range(units) if all(len(side[k]) for both in sides.values() for side in both)]
    values = {name: _values(study, name, both[0], both[1], whole) for name, both in sides.items()}
    labels = [_label(study, k) for k in range(units)]
    return Paired(
        a=study.arms[a].name,
        b=study.arms[b].name,
        unit=study.unit,
        units=tuple(labels[k] for k in whole),
        planned=units,
        values=values,
        seeds=tuple(range(study.seed, study.seed + (units if study.unit == "seed" else study.n))),
        differing=differing,
        notices=tuple(_notices(study, cells, (a, b), labels, set(range(units)) - set(whole))),
    )


def _by_seed(study: Study, cells: Cells, spreads: Spreads, arm: int, name: str) -> list[list[float]]:
    """The one value of each seed; none where a scorer could give none."""
    if name == study.scorers.diversity:
        return [[value] for value in spreads[arm, 0]]
    found = [each.value(name) for each in cells[arm, 0]]
    return [[] if value is None else [value] for value in found]


def _by_text(study: Study, cells: Cells, spreads: Spreads, arm: int, name: str) -> list[list[float]]:
    """The values of each text that has been drawn."""
    texts = [text for text in range(len(study.texts)) if (arm, text) in cells]
    if name == study.scorers.diversity:
        return [list(spreads[arm, text]) for text in texts]
    return [[v for each in cells[arm, text] if (v := each.value(name)) is not None] for text in texts]


def _values(
    study: Study, name: str, a: Sequence[Sequence[float]], b: Sequence[Sequence[float]], whole: Sequence[int]
) -> Values:
    # Of two pictures both have the same share: within a prompt there is no scatter then, only between prompts.
    inside = study.unit == "prompt" and not (name == study.scorers.diversity and study.n < 3)
    return Values(
        scorer=scorer_of(name),
        a=tuple(float(np.mean(a[k])) for k in whole),
        b=tuple(float(np.mean(b[k])) for k in whole),
        spread_a=_pooled([a[k] for k in whole]) if inside else None,
        spread_b=_pooled([b[k] for k in whole]) if inside else None,
    )


def _pooled(groups: Iterable[Sequence[float]]) -> float | None:
    """Standard deviation within groups; ``None`` where no group has two values."""
    variances = [float(np.var(group, ddof=1)) for group in groups if len(group) > 1]
    return float(np.sqrt(np.mean(variances))) if variances else None


def _label(study: Study, k: int) -> str:
    return str(study.seed + k) if study.unit == "seed" else study.texts[k].words


def _notices(
    study: Study, cells: Cells, arms: tuple[int, int], labels: Sequence[str], out: set[int]
) -> Iterable[Notice]:
    if out:
        which = ", ".join(repr(labels[k][:40]) for k in sorted(out)[:_NAMED]) + (" ..." if len(out) > _NAMED else "")
        yield Notice(code="no-value", message=f"{len(out)} {study.unit}s are left out, without a value: {which}")
    both = [each for arm in arms for text in range(len(study.texts)) for each in cells.get((arm, text), ())]
    reasons = dict.fromkeys(reason for each in both for reason in each.failures.values())
    yield from (Notice(code="no-value", message=reason) for reason in list(reasons)[:_NAMED])
    for arm in arms:
        pictures = [each for text in range(len(study.texts)) for each in cells.get((arm, text), ())]
        yield from (Notice(code="picture-fault", message=line) for line in told([(study.arms[arm].name, pictures)]))
    flags = dict.fromkeys(f"{name}: {flag}" for each in both for name, s in each.scores.items() for flag in s.flags)
    yield from (Notice(code="score-flag", message=flag) for flag in list(flags)[:_NAMED])
