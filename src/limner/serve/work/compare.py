"""Comparing sides, or drawing them as a grid. What is drawn stays: the same comparison goes on from there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from limner.canonical import content_hash
from limner.disk import write_atomic
from limner.refine.arms import Arm
from limner.refine.compare import folder_of, prepare, study_of
from limner.refine.compare import run as carry_out
from limner.refine.compare_arms import common_settings
from limner.refine.compare_cells import Cell, draw_cell
from limner.refine.compare_scoring import scorers_for
from limner.refine.compare_study import Study, Text, default_seed, said
from limner.refine.report.compared import report_of
from limner.refine.report.page import REPORT
from limner.refine.report.page import write as write_report
from limner.serve.jobs import Body
from limner.serve.native.bodies import CompareJob
from limner.serve.studies.ties import Ties
from limner.serve.studies.told import comparison_told
from limner.serve.work.fetching import fetch
from limner.serve.work.painting import Painter
from limner.serve.work.tell import Work
from limner.serve.work.watching import Watched
from limner.types import Notice, Request

if TYPE_CHECKING:
    from limner.image import Image
    from limner.session import Session

GRIDS = "grids"
ONE = 1
"""Pictures of each side, where they are only looked at and no number is asked for."""


def run(session: Session, work: Work) -> Body:
    """Draw, score and judge; or draw alone. Raises what planning, drawing and scoring raise, ``Cancelled``."""
    wanted = CompareJob.model_validate(work.ask.body)
    arms = [Arm.of(name, each.request) for name, each in zip(names_of(wanted), wanted.arms, strict=True)]
    for arm in arms:
        for prompt in wanted.prompts or (arm.request.prompt,):
            session.review(arm.request.but(prompt=prompt))
    for model in dict.fromkeys(arm.request.model for arm in arms):
        fetch(session, work, model)
    if not wanted.judged:
        return _grid(session, work, wanted, arms)
    prepared = prepare(_study(session, wanted, arms), session)
    study = prepared.study
    Ties(session.settings.data).tie(work.job, study.id)
    painter = Painter(session, work, total=study.pictures, done=prepared.made)
    work.tell("note", text="what is compared is fixed and stored", study=study.id, done=0, total=study.pictures)
    for notice in study.notices:
        painter.warn(Notice(code="compare", message=notice))
    found = carry_out(prepared, session, draw=painter, score=Watched(session, work, painter), tell=painter.note)
    if (folder := folder_of(study, session)) is not None:
        write_report(report_of(found, session), folder / REPORT)
    return comparison_told(found)


def names_of(wanted: CompareJob) -> list[str]:
    """Each side's name; letters where it has none."""
    letters = [chr(ord("A") + k) if k < 26 else f"side {k + 1}" for k in range(len(wanted.arms))]
    return [each.name.strip() or letter for each, letter in zip(wanted.arms, letters, strict=True)]


def _study(session: Session, wanted: CompareJob, arms: list[Arm]) -> Study:
    """The comparison, fixed. Raises ``InvalidRequest``, ``ScorerOutOfDomain``, and what planning raises."""
    texts = [Text(words=each, prompt=each) for each in wanted.prompts]
    texts = texts or [Text(words=wanted.text or arms[0].request.prompt)]
    notices: list[str] = []
    models = {arm.request.model for arm in arms}
    if len(models) > 1 and len(texts) == 1:
        notices.append("models on one prompt: the verdict is on these words, and of other words it says nothing")
    if len(models) > 1 and not wanted.own_settings:
        arms, what = common_settings(session, arms, texts[0].words)
        notices.append(what.partition(" (--")[0])
    return study_of(
        arms,
        texts,
        scorers_for(session, arms, wanted.judges, wanted.alignment),
        n=wanted.n,
        seed=wanted.seed,
        margin=wanted.margin,
        diversity_margin=wanted.diversity_margin,
        worthwhile=wanted.worthwhile,
        alpha=wanted.alpha,
        looks=wanted.looks,
        notices=notices,
    )


def _grid(session: Session, work: Work, wanted: CompareJob, arms: list[Arm]) -> Body:
    """Every side from the same seeds, to be looked at: nothing is said of which is better."""
    seed = wanted.seed if wanted.seed is not None else default_seed(arms)
    n = wanted.n or ONE
    prompts = wanted.prompts or (None,)
    sides = [{"name": arm.name, "request": said(arm.request)} for arm in arms]
    fixed = {"arms": sides, "prompts": list(wanted.prompts), "n": n, "seed": seed}
    name = content_hash(fixed).removeprefix("sha256:")[:16]
    Ties(session.settings.data).tie(work.job, name)
    painter = Painter(session, work, total=len(arms) * n * len(prompts))
    rows: list[list[str | None]] = [[] for _ in arms]

    def keep(*, whole: bool) -> None:
        shown = json.dumps({"id": name, **fixed, "pictures": rows, "whole": whole}, ensure_ascii=False)
        path = session.settings.library_root / GRIDS / f"{name}.json"
        write_atomic(path, shown.encode("utf-8", "surrogateescape"))

    for k, arm in enumerate(arms):
        for prompt in prompts:
            own: dict[str, object] = {} if prompt is None else {"prompt": prompt}
            request = arm.request.model_copy(update={**own, "seed": seed, "n": n})  # what was not said stays unsaid
            keep(whole=False)
            rows[k] += [image.id for image in _found_or_drawn(session, request, painter)]
    keep(whole=True)
    return {"study": name, "grid": name, "pictures": [list(row) for row in rows]}


def _found_or_drawn(session: Session, request: Request, painter: Painter) -> Sequence[Image]:
    cell = Cell(0, 0, session.plan(request))
    return draw_cell(cell, range(len(cell.keys)), session, painter)
