"""A bench as a table, a row a category and one of all: means with intervals clustered by prompt; and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from limner.evaluate.statistics import cluster_bootstrap, sign_flip_interval
from limner.refine.suites.running import Ran, Row, Shot

FEW_CLUSTERS = 30
"""Below so many prompts the bootstrap's interval is too narrow."""
ALL = "all"
ATOMS = "atoms satisfied"
"""The share of a prompt's questions (is there a fox, is it red ...) that a scorer answers yes."""
YES = 0.5


class Mean(NamedTuple):
    """The mean over prompts of each prompt's mean over seeds, with its 95 % interval; ``None`` where the prompts are
    too few to bound it. ``valued`` pictures have a value, of so many drawn."""

    scorer: str
    mean: float | None
    low: float | None
    high: float | None
    valued: int


class Line(NamedTuple):
    """A category, or all of them."""

    category: str
    prompts: int
    pictures: int
    means: tuple[Mean, ...]


def lines(ran: Ran) -> list[Line]:
    """All first, then each category in the suite's order where there are several."""
    drawn = [row for row in ran.rows if row.shots]
    names = list(dict.fromkeys(row.category for row in drawn))
    parts = [(name or "none", [row for row in drawn if row.category == name]) for name in names]
    return [_line(ran, ALL, drawn), *(_line(ran, name, rows) for name, rows in parts if len(parts) > 1)]


def _line(ran: Ran, name: str, rows: Sequence[Row]) -> Line:
    means = tuple(_mean(name, rows) for name in columns(ran))
    return Line(name, len(rows), sum(len(row.shots) for row in rows), means)


def _mean(scorer: str, rows: Sequence[Row]) -> Mean:
    values = [[value for shot in row.shots if (value := _value(shot, scorer)) is not None] for row in rows]
    groups = [group for group in values if group]
    if not groups:
        return Mean(scorer, None, None, None, 0)
    each = [fmean(group) for group in groups]
    low, high = cluster_bootstrap(groups) if len(groups) >= FEW_CLUSTERS else sign_flip_interval(each)
    return Mean(scorer, fmean(each), _finite(low), _finite(high), sum(map(len, groups)))


def columns(ran: Ran) -> tuple[str, ...]:
    """What there is a mean of: the scorers, and the share of questions answered yes where one asks any."""
    asked = any(shot.atoms for row in ran.rows for shot in row.shots)
    return (*ran.bench.scorers, *([ATOMS] if asked else []))


def _value(shot: Shot, column: str) -> float | None:
    if column != ATOMS:
        return shot.values.get(column)
    return fmean(chance >= YES for chance in shot.atoms.values()) if shot.atoms else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def as_json(ran: Ran) -> dict[str, object]:
    """JSON-ready: what was run, the table, and what could not be drawn or valued."""
    return {
        "id": ran.bench.id,
        "folder": None if ran.folder is None else str(ran.folder),
        **ran.bench.stored(),
        "licence": ran.bench.licence,
        "note": ran.bench.suite.note,
        "table": [{**line._asdict(), "means": [mean._asdict() for mean in line.means]} for line in lines(ran)],
        "problems": [{"prompt": row.words, "problem": row.problem} for row in ran.rows if row.problem],
        "failures": failures(ran),
    }


def failures(ran: Ran) -> dict[str, int]:
    """Why pictures have no value by a scorer, and how many."""
    found: dict[str, int] = {}
    for row in ran.rows:
        for shot in row.shots:
            for scorer, why in shot.failures.items():
                found[f"{scorer}: {why}"] = found.get(f"{scorer}: {why}", 0) + 1
    return found


def as_csv(ran: Ran) -> str:
    """A row a picture."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    scorers = columns(ran)
    writer.writerow(("prompt", "category", "model", "seed", *scorers, "seconds", "picture", "problem"))
    for row in ran.rows:
        if row.problem:
            writer.writerow(
                _safe(cell)
                for cell in (row.words, row.category, ran.bench.model, "", *("" for _ in scorers), "", "", row.problem)
            )
        for shot in row.shots:
            values = [_value(shot, name) for name in scorers]
            why = "; ".join(shot.failures.values())
            cells = (row.words, row.category, ran.bench.model, shot.seed, *values, shot.seconds, shot.picture, why)
            writer.writerow(_safe(cell) for cell in cells)
    return out.getvalue()


def _safe(cell: object) -> object:
    """A text that a spreadsheet would take for a formula gets a quote before it; ``None`` is empty."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{cell}"
    return "" if cell is None else cell
