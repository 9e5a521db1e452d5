"""Whether a model that was adapted has learnt its subject, and what that cost, by the rules of evidence.

Each question is a comparison of before with after over the same seeds: its pictures are drawn, scored and kept as those
of ``limner compare`` are. Is the subject more like its own pictures? Are scenes that it was not taught still drawn as
asked for, and those of its class, and other things? Verdicts share one alpha: Holm goes over all questions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from limner.disk import write_atomic
from limner.image import Image
from limner.library.files import decode
from limner.refine.arms import Scored
from limner.refine.compare import GRID, STUDY
from limner.refine.compare_cells import Draw
from limner.refine.compare_run import carry_out
from limner.refine.compare_scoring import Failures, ScoreCall
from limner.refine.compare_study import Study
from limner.refine.diversity import PIXELS
from limner.refine.pairs import Paired, Scorer, Values
from limner.refine.tuned_answers import Answered, Shown, Spread, facts_of
from limner.refine.tuned_asked import Asked
from limner.refine.tuned_design import Design, Ready
from limner.refine.tuned_likeness import FIDELITY, Eye, References, fidelity_scorer, own_spread
from limner.refine.verdict import Claim, judge_each
from limner.session import Session
from limner.types import Score

FOLDER: Final = "tunings"
RESULT: Final = "shown.json"


def run(
    ready: Ready,
    session: Session,
    *,
    score: ScoreCall | None = None,
    draw: Draw | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Shown:
    """Draw, score and judge all questions. ``score`` and ``draw`` stand in for the session's own. What was drawn stays
    in the library, so that a run that was stopped goes on. Raises any ``LimnerError``."""
    design = ready.design
    draw = draw or (lambda plans: session.run(plans).result())
    folder = folder_of(design, session)
    if folder is not None:
        write_json(folder / STUDY, design.stored())
    eye = Eye(session, design.tower, ready.references)
    answers: list[Answered] = []
    for asked, prepared in zip(design.asked, ready.prepared, strict=True):
        looking = _Looking(session, eye, asked, score or session.score)
        # Its own verdicts are left aside: they know nothing of the other questions.
        taken, (paired,), (alone,) = carry_out(
            prepared.study, prepared.cells, session, score=looking, draw=draw, tell=tell
        )
        before, after = taken.scored[0, 0], taken.scored[1, 0]
        if not answers:
            paired = _with_fidelity(paired, eye, before, after, fidelity_scorer(design.tower, ready.references))
        paired, spread = _with_own_spread(paired, asked, prepared.study, ready.references, session)
        likeness = eye.of(before, after, design.alpha)
        facts = facts_of(before, after, looking.answers)
        answers.append(Answered(asked, prepared, taken, paired, alone, spread, likeness, facts))
    found = Shown(design.id, design.stored(), _judged(design, answers), folder)
    if folder is not None:
        write_json(folder / RESULT, found.as_json())
        write_atomic(folder / GRID, found.grid)
    return found


def write_json(path: Path, value: object) -> None:
    """Raises ``StorageError``."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False).encode("utf-8", "surrogateescape"))


def folder_of(design: Design, session: Session) -> Path | None:
    """Where it is kept; ``None`` where nothing is."""
    return session.settings.library_root / FOLDER / design.id if session.keep else None


def _judged(design: Design, answers: Sequence[Answered]) -> tuple[Answered, ...]:
    """With a verdict each, under one alpha."""
    study = design.studies[0]
    claims = [
        Claim(each.paired, (FIDELITY,), (*design.caps, *each.prepared.study.scorers.caps))
        if k == 0
        else Claim(each.paired, each.prepared.study.scorers.judges, each.prepared.study.scorers.caps)
        for k, each in enumerate(answers)
    ]
    verdicts = judge_each(claims, **study.terms)
    return tuple(replace(each, verdict=verdict) for each, verdict in zip(answers, verdicts, strict=True))


class _Looking:
    """Scores pictures as a comparison does, and looks meanwhile at what no score of it says: their likeness, and the
    answer to each question of the words, where the scorer asks any. It looks at the library's files, so that a second
    run finds the same: a picture just drawn has no watermark yet."""

    def __init__(self, session: Session, eye: Eye, asked: Asked, score: ScoreCall) -> None:
        self._session, self._eye, self._asked, self._score = session, eye, asked, score
        self.answers: dict[str, Mapping[str, float]] = {}
        """By pixel hash."""

    def __call__(
        self, images: Sequence[Image], texts: Sequence[str], metrics: Sequence[str], *, failures: Failures | None = None
    ) -> Sequence[Sequence[Score]]:
        own = [self._asked.words_of(image.record.prompt) for image in images]
        rows = self._score(images, own, metrics, failures=failures)
        pixels = [image.pixels if image.path is None else decode(Path(image.path)) for image in images]
        self._eye.see(images, pixels)
        for k, image in enumerate(images):
            if failures is None or (k, metrics[0]) not in failures:
                told = self._session.scoring.answers(pixels[k], own[k], metrics[0])
                self.answers[image.record.pixel_hash] = told
        return rows


def _with_fidelity(
    paired: Paired, eye: Eye, before: Sequence[Scored], after: Sequence[Scored], scorer: Scorer
) -> Paired:
    """With likeness to the references that decide, in the units that have all other values."""
    inside = [k for k, each in enumerate(before) if str(each.trial.seed) in set(paired.units)]
    sides = [eye.values([side[k] for k in inside], eye.judging) for side in (before, after)]
    values = Values(scorer=scorer, a=tuple(sides[0]), b=tuple(sides[1]))
    return paired.model_copy(update={"values": {FIDELITY: values, **paired.values}})


def _with_own_spread(
    paired: Paired, asked: Asked, study: Study, references: References, session: Session
) -> tuple[Paired, Spread]:
    """Of the subject, diversity before counts as no more than that of its own pictures: down to there nothing is lost.
    And the mean distances as they are."""
    measure = study.scorers.diversity or PIXELS
    values = paired.values[measure]
    before, after = float(np.mean(values.a)), float(np.mean(values.b))
    if asked.what not in ("the subject", "a scene"):
        return paired, Spread(before=before, after=after)
    prompts = [*asked.each, asked.prompt]
    own = own_spread(session, measure, references, prompts)
    spread = Spread(before=before, after=after, own=own)
    if own is None or own >= before:
        return paired, spread
    scale = f"{values.scorer.scale}; before counts as its own pictures' {own:.3g}, not {before:.3g}"
    lowered = values.model_copy(
        update={
            "scorer": values.scorer.model_copy(update={"scale": scale}),
            "a": tuple(value * own / before for value in values.a),  # and so does their scatter, the margin's yardstick
        }
    )
    return paired.model_copy(update={"values": {**paired.values, measure: lowered}}), spread
