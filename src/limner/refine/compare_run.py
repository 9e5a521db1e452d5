"""Carrying a comparison out: look after look, cell after cell, drawing what is missing and scoring it at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from limner.errors import InvalidRequest
from limner.evaluate.metric import Embedding
from limner.refine.arms import Scored, Trial
from limner.refine.compare_cells import Cell, Draw, differences, draw_cell
from limner.refine.compare_pairs import paired_of
from limner.refine.compare_scoring import ScoreCall, scored
from limner.refine.compare_study import Study
from limner.refine.diversity import PIXELS, shares, vectors
from limner.refine.grid import Tile, tile
from limner.refine.pairs import Paired
from limner.refine.verdict import Verdict, judge_all
from limner.session import Session

KEPT = 256
"""So many pictures stay in memory for whoever asks; of more, vectors only (the library has them all)."""


class Took(NamedTuple):
    """What drawing one picture took, by its Record."""

    seconds: float | None
    peak_bytes: int | None


@dataclass(slots=True)
class Taken:
    """What is drawn and scored so far, by (arm, text); pictures for the grid by (arm, text, place)."""

    scored: dict[tuple[int, int], list[Scored]] = field(default_factory=dict)
    vectors: dict[tuple[int, int], list[Embedding]] = field(default_factory=dict)
    tiles: dict[tuple[int, int, int], Tile] = field(default_factory=dict)
    costs: dict[tuple[int, int], list[Took]] = field(default_factory=dict)


Tell = Callable[[str], None]


def carry_out(
    study: Study, cells: Sequence[Cell], session: Session, *, score: ScoreCall, draw: Draw, tell: Tell
) -> tuple[Taken, tuple[Paired, ...], tuple[Verdict, ...]]:
    """Draw, score and judge. Raises what drawing and scoring raise; what was drawn stays in the library, so that the
    next run goes on from there."""
    taken = Taken()
    done = 0
    pairs: tuple[Paired, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    for k, units in enumerate(study.looks.pairs, 1):
        seeds, texts = (units, 1) if study.unit == "seed" else (study.n, units)
        for cell in cells:
            if cell.text < texts:
                _take(study, cell, range(done if study.unit == "seed" else 0, seeds), taken, session, score, draw)
        done = units
        pairs = pairs_of(study, cells, taken, units)
        scorers = study.scorers
        verdicts = judge_all(pairs, judges=scorers.judges, caps=scorers.caps, **study.terms)
        if all(verdict.final for verdict in verdicts):
            break
        if k < len(study.looks.pairs):
            tell(f"not decided after {units} {study.unit}s; going on to {study.looks.pairs[k]}")
    return taken, pairs, verdicts


def pairs_of(study: Study, cells: Sequence[Cell], taken: Taken, units: int) -> tuple[Paired, ...]:
    """Each arm beside the one that it is compared with."""
    measure = study.scorers.diversity or PIXELS  # where none is asked for there are no vectors
    spreads = {where: shares(measure, seen) for where, seen in taken.vectors.items()}
    return tuple(
        paired_of(study, taken.scored, spreads, reference, k, units, differences(cells, reference, k))
        for k, reference in enumerate(study.references, 1)
    )


def _take(
    study: Study, cell: Cell, places: range, taken: Taken, session: Session, score: ScoreCall, draw: Draw
) -> None:
    where = (cell.arm, cell.text)
    if where in taken.scored and study.unit == "prompt":
        return  # of an earlier look
    images = draw_cell(cell, places, session, draw)
    request, words = study.arms[cell.arm].request, study.texts[cell.text].words
    trials = [Trial(request=request, seed=cell.seeds[place]) for place in places]
    new = scored(score, images, trials, words, study.scorers.metrics)
    _refuse_valueless(study, new)
    if study.scorers.diversity is not None:
        taken.vectors.setdefault(where, []).extend(vectors(session, study.scorers.diversity, images))
    keep = study.pictures <= KEPT
    for place, image in zip(places, images, strict=True):
        took = Took(image.record.timings.get("total"), image.record.peak_bytes)
        taken.costs.setdefault(where, []).append(took)
        if place == 0 or study.unit == "seed":  # of a set of prompts the grid shows the first seed
            taken.tiles[(*where, place)] = tile(image.pixels)
    taken.scored.setdefault(where, []).extend(each if keep else _lighter(each) for each in new)


def _lighter(scored: Scored) -> Scored:
    return Scored(scored.trial, scored.pixel_hash, scored.scores, scored.picture, None, scored.failures, scored.faults)


def _refuse_valueless(study: Study, new: Sequence[Scored]) -> None:
    """Where there is one text only and a scorer can value none of its pictures, there will be no verdict: stop now."""
    if len(study.texts) > 1:
        return
    for metric in study.scorers.metrics:
        if all(metric in each.failures for each in new):
            raise InvalidRequest(
                f"{metric} could value none of {len(new)} pictures: {new[0].failures[metric]}",
                field="judges",
                hint="the pictures are kept; run again with another --judge or --text and only scoring is done anew",
            )
