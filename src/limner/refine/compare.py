"""Comparing two prompts, settings or models: the same seeds for both, scored against the user's own words, judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

from limner.disk import write_atomic
from limner.errors import InvalidRequest
from limner.evaluate.statistics import ALPHA
from limner.refine.arms import Arm, Scored
from limner.refine.believing import caps_of
from limner.refine.compare_cells import Cell, Draw, cells_of, in_library
from limner.refine.compare_run import Taken, carry_out
from limner.refine.compare_scoring import ScoreCall, check_scorers, scorers_for, world_of
from limner.refine.compare_study import (
    SEEDS,
    SEEDS_PER_PROMPT,
    Scorers,
    Study,
    Text,
    check_size,
    default_seed,
    references_of,
)
from limner.refine.diversity import AUTO, named
from limner.refine.grid import columns_of, grid
from limner.refine.pairs import Paired
from limner.refine.power import WORTHWHILE, check_worthwhile
from limner.refine.verdict import MARGIN, Verdict
from limner.refine.verdict_types import Looks
from limner.session import Session
from limner.types import MAX_IMAGES, MAX_SEED, Request

FOLDER = "comparisons"
STUDY, RESULT, GRID = "study.json", "comparison.json", "grid.png"


class Model(NamedTuple):
    """An arm's model as its card tells of it."""

    name: str
    licence: str
    restrictions: str


@dataclass(frozen=True)
class Comparison:
    """What a comparison found. ``pairs`` and ``verdicts`` are one for each arm but the first; ``scored`` holds the
    pictures by (arm, text). ``folder`` is where it is kept in the library, ``None`` where nothing is kept."""

    study: Study
    pairs: tuple[Paired, ...]
    verdicts: tuple[Verdict, ...]
    cells: tuple[Cell, ...] = field(repr=False)
    taken: Taken = field(repr=False)
    models: tuple[Model, ...]
    folder: Path | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict on the last arm: on B, where there are two."""
        return self.verdicts[-1]

    @property
    def scored(self) -> Mapping[tuple[int, int], Sequence[Scored]]:
        return self.taken.scored

    @cached_property
    def grid(self) -> bytes:
        """The grid picture, PNG: arms below each other; worst, median and best cases beside each other."""
        rows = [_row(self.study, k) for k in range(len(self.study.arms))]
        return grid(rows, columns_of(self.study, self.pairs[0]), self.taken.tiles, _title(self))

    def as_json(self) -> dict[str, object]:
        """JSON-ready: the study as it was stored first, the paired values, the verdicts, and the library's ids of the
        pictures by arm and text, in the order of the seeds."""
        return {
            "id": self.study.id,
            "folder": None if self.folder is None else str(self.folder),
            "study": self.study.stored(),
            "pairs": [each.model_dump(mode="json") for each in self.pairs],
            "verdicts": [each.model_dump(mode="json") for each in self.verdicts],
            "pictures": [
                {"arm": arm, "text": text, "ids": [each.picture for each in row]}
                for (arm, text), row in sorted(self.scored.items())
            ],
        }

    def _repr_png_(self) -> bytes:
        return self.grid


@dataclass(frozen=True, slots=True)
class Prepared:
    """A comparison that is planned and checked, and not begun. ``made`` of its pictures the library has already."""

    study: Study
    cells: tuple[Cell, ...]
    models: tuple[Model, ...]
    made: int

    @property
    def seconds(self) -> float | None:
        """What drawing the rest may take; ``None`` where it is not known."""
        each = [
            None if plan.estimate.seconds_per_image is None else plan.estimate.seconds_per_image * len(plan.seeds)
            for cell in self.cells
            for plan in cell.plans
        ]
        if None in each:
            return None
        return sum(cast(list[float], each)) * (1 - self.made / self.study.pictures)


def study_of(
    arms: Sequence[Arm],
    texts: Sequence[Text],
    scorers: Scorers,
    *,
    n: int | None = None,
    seed: int | None = None,
    margin: float = MARGIN,
    diversity_margin: float | None = None,
    worthwhile: float = WORTHWHILE,
    alpha: float = ALPHA,
    looks: int = 1,
    notices: Sequence[str] = (),
) -> Study:
    """A Study with what was not said filled in. ``n`` seeds of each text (24; 4 where there are several texts),
    ``looks`` 1 or 2. Raises ``InvalidRequest`` where so few cannot decide anything."""
    if len(arms) < 2:
        raise InvalidRequest("a comparison needs two sides", field="prompt", hint="two prompts, models or settings")
    chosen = n if n is not None else SEEDS if len(texts) == 1 else SEEDS_PER_PROMPT
    units = chosen if len(texts) == 1 else len(texts)
    if looks not in (1, 2):
        raise InvalidRequest(f"looks: {looks} is not 1 or 2", field="looks", hint="1: once; 2: also at half of it")
    if len(texts) > 1 and chosen == 1:
        scorers = scorers.model_copy(update={"diversity": None})  # one seed has no other to differ from
    if not 0 < margin <= 10:  # NaN too
        raise InvalidRequest(f"margin: {margin} is not between 0 and 10", field="margin", hint="0.5 is usual")
    if diversity_margin is not None and not 0 < diversity_margin <= 100:
        raise InvalidRequest(
            f"diversity margin: {diversity_margin} is not between 0 and 100", field="margin", hint="0.5 is usual"
        )
    check_worthwhile(worthwhile)
    if not 0 < alpha < 0.5:
        raise InvalidRequest(f"alpha: {alpha} is not between 0 and 0.5", field="alpha", hint="0.05 is usual")
    if not 1 <= chosen <= MAX_IMAGES:
        raise InvalidRequest(f"n: {chosen} is not 1 to {MAX_IMAGES}", field="n", hint="n: seeds of each side")
    if seed is not None and not 0 <= seed <= MAX_SEED - chosen + 1:
        raise InvalidRequest(f"seed: {seed} is not 0 to {MAX_SEED - chosen + 1}", field="seed", hint="any number")
    caps = (*scorers.caps, *caps_of(scorers.judges, [text.words for text in texts]))
    scorers = scorers.model_copy(update={"caps": caps})
    preset = Looks.once(max(1, units)) if looks == 1 or units < 2 else Looks.twice(units)
    study = Study(
        arms=tuple(arms),
        references=references_of(arms),
        texts=tuple(texts),
        n=chosen,
        seed=default_seed(arms) if seed is None else seed,
        scorers=scorers,
        margin=margin,
        diversity_margin=diversity_margin,
        worthwhile=worthwhile,
        alpha=alpha,
        looks=preset,
        notices=tuple(notices),
    )
    check_size(study)
    return study


def prepare(study: Study, session: Session) -> Prepared:
    """Plan every cell and check what can be checked, before anything is drawn. Raises ``InvalidRequest`` (identical
    arms, too few seeds, unknown scorers), ``ScorerOutOfDomain``, and what ``Session.plan`` raises."""
    cells = cells_of(study, session)
    names = {cell.arm: cell.plans[0].model.name for cell in cells}
    cards = [session.catalog.find(names[arm]) for arm in range(len(study.arms))]
    check_scorers(session, study.scorers.metrics, {names[arm]: world_of(card) for arm, card in enumerate(cards)})
    models = tuple(
        Model(names[arm], "not known", "") if card is None else Model(card.name, card.licence, card.restrictions)
        for arm, card in enumerate(cards)
    )
    return Prepared(study, tuple(cells), models, in_library(cells, session))


def run(
    prepared: Prepared,
    session: Session,
    *,
    score: ScoreCall | None = None,
    draw: Draw | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Carry a prepared comparison out. What it is stands in the library before the first picture is drawn; a run that
    was stopped goes on where it was. ``score`` and ``draw`` stand in for the session's own. Raises any
    ``LimnerError``; pictures and scores that are made stay."""
    study = prepared.study
    folder = folder_of(study, session)
    if folder is not None:
        _write(folder / STUDY, study.stored())
    taken, pairs, verdicts = carry_out(
        study,
        prepared.cells,
        session,
        score=score or session.score,
        draw=draw or (lambda plans: session.run(plans).result()),
        tell=tell,
    )
    found = Comparison(study, pairs, verdicts, prepared.cells, taken, prepared.models, folder)
    if folder is not None:
        _write(folder / RESULT, found.as_json())
        write_atomic(folder / GRID, found.grid)
    return found


def compare(
    a: str | Request,
    b: str | Request,
    *,
    judges: Sequence[str] = (),
    alignment: str | None = None,
    diversity: str | None = AUTO,
    text: str | None = None,
    prompts: Sequence[str] = (),
    n: int | None = None,
    seed: int | None = None,
    margin: float = MARGIN,
    diversity_margin: float | None = None,
    worthwhile: float = WORTHWHILE,
    alpha: float = ALPHA,
    looks: int = 1,
    session: Session | None = None,
    score: ScoreCall | None = None,
) -> Comparison:
    """Is B better than A? Both are drawn from the same ``n`` seeds and scored against ``text`` (default: A's prompt).

    With ``prompts`` both are settings (or models) that are tried on each of these prompts, which are then what is
    tested over. ``judges`` decide; ``alignment`` and ``diversity`` must not be lost by more than ``margin`` standard
    deviations; scorers that are not named are chosen by the models' pictures and this machine (``diversity="auto"``: by
    a scorer that can compare pictures, else by pixels; ``None``: not measured). Raises
    ``InvalidRequest`` for too few seeds or identical sides, and any ``LimnerError``.
    """
    first, second = (Request.of(prompt=each) if isinstance(each, str) else each for each in (a, b))
    texts = [Text(words=each, prompt=each) for each in prompts] or [Text(words=text or first.prompt)]
    arms = [Arm.of("A", first), Arm.of("B", second)]

    def carried(session: Session) -> Comparison:
        scorers = scorers_for(session, arms, judges, alignment)
        if diversity != AUTO:
            measure = None if diversity is None else named(session, diversity, scorers.metrics)
            scorers = scorers.model_copy(update={"diversity": measure})
        study = study_of(
            arms,
            texts,
            scorers,
            n=n,
            seed=seed,
            margin=margin,
            diversity_margin=diversity_margin,
            worthwhile=worthwhile,
            alpha=alpha,
            looks=looks,
        )
        return run(prepare(study, session), session, score=score)

    if session is not None:
        return carried(session)
    with Session(scored=False) as own:  # it scores its pictures itself
        return carried(own)


def folder_of(study: Study, session: Session) -> Path | None:
    """Where a comparison is kept; ``None`` where nothing is."""
    return session.settings.library_root / FOLDER / study.id if session.keep else None


def _write(path: Path, value: object) -> None:
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False).encode("utf-8", "surrogateescape"))


def _row(study: Study, k: int) -> str:
    arm = study.arms[k]
    shown = arm.request.prompt if study.unit == "seed" else ""
    return arm.name if shown in ("", arm.name) else f"{arm.name}: {shown}"


def _title(found: Comparison) -> str:
    if len(found.verdicts) == 1:
        return found.verdict.sentence
    return "; ".join(
        f"{each.b}: {each.outcome} than {each.a}"
        if each.outcome in ("better", "worse")
        else f"{each.b}: {each.outcome}"
        for each in found.verdicts
    )
