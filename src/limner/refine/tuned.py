"""Whether a model that was adapted has learnt its subject, and what that cost, by the rules of evidence.

Each question is a comparison of before with after over the same seeds: its pictures are drawn, scored and kept as those
of ``limner compare`` are. Is the subject more like its own pictures? Are scenes that it was not taught still drawn as
asked for, and those of its class, and other things? Verdicts share one alpha: Holm goes over all questions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from limner.canonical import content_hash
from limner.disk import write_atomic
from limner.errors import InvalidRequest, ModelNotFound
from limner.evaluate.defaults import POCKET_WORLD
from limner.evaluate.pocket_atoms import read
from limner.evaluate.statistics import ALPHA
from limner.image import Image
from limner.refine.arms import Arm, Scored
from limner.refine.compare import GRID, STUDY, Prepared, study_of
from limner.refine.compare import prepare as prepare_comparison
from limner.refine.compare_cells import Draw
from limner.refine.compare_run import carry_out
from limner.refine.compare_scoring import Failures, ScoreCall, default_scorers, world_of
from limner.refine.compare_study import SEEDS, Scorers, Study, Text, default_seed
from limner.refine.diversity import PIXELS
from limner.refine.pairs import Paired, Scorer, Values
from limner.refine.tuned_answers import Answered, Shown, Spread, facts_of
from limner.refine.tuned_asked import Asked
from limner.refine.tuned_likeness import FIDELITY, Eye, References, fidelity_scorer, own_spread, tower_for
from limner.refine.verdict import MARGIN, Claim, judge_each, require_pairs
from limner.session import Session
from limner.types import Frozen, Request, Score

FOLDER: Final = "tunings"
RESULT: Final = "shown.json"
LEARNT_BY_HEART: Final = "no picture was held out, so that likeness is to the very pictures it was trained on"


class Design(Frozen):
    """All questions, fixed and stored before the first picture. ``lora`` is its file's hash; ``held_out`` and
    ``trained_on`` are the hashes of the pictures that likeness is to, seen by ``tower``; ``caps`` are reasons to
    believe the subject's verdict less."""

    lora: str
    asked: tuple[Asked, ...]
    studies: tuple[Study, ...]
    tower: str
    held_out: tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    caps: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return content_hash(self.stored()).removeprefix("sha256:")[:16]

    @property
    def pictures(self) -> int:
        return sum(study.pictures for study in self.studies)

    @property
    def alpha(self) -> float:
        return self.studies[0].alpha

    def stored(self) -> dict[str, object]:
        """JSON-ready."""
        whole = self.model_dump(mode="json", exclude={"studies"})
        return {**whole, "studies": [study.stored() for study in self.studies]}


@dataclass(frozen=True, slots=True)
class Ready:
    """All that is planned and checked, and not begun."""

    design: Design
    references: References
    prepared: tuple[Prepared, ...]

    @property
    def made(self) -> int:
        """How many of its pictures the library has already."""
        return sum(each.made for each in self.prepared)

    @property
    def seconds(self) -> float | None:
        """What drawing the rest may take; ``None`` where it is not known."""
        each = [prepared.seconds for prepared in self.prepared]
        return None if None in each else sum(seconds for seconds in each if seconds is not None)


def prepare(
    before: Request,
    after: Request,
    asked: Sequence[Asked],
    references: References,
    session: Session,
    *,
    lora: str = "",
    n: int = SEEDS,
    seed: int | None = None,
    trained_seeds: int = 0,
    margin: float = MARGIN,
    diversity_margin: float | None = None,
    alpha: float = ALPHA,
    notices: Iterable[str] = (),
) -> Ready:
    """Plan every question. ``before`` and ``after`` differ in the LoRA alone; their words are replaced by each
    question's, the first of which is the subject. Class pictures of the seeds below ``trained_seeds`` were trained on.

    Raises ``InvalidRequest`` for too few seeds to decide so many questions, or seeds that were trained on;
    ``ModelNotFound`` where no CLIP can tell likeness; ``ScorerOutOfDomain``, and what ``Session.plan`` raises.
    """
    plan = session.plan(_with_words(before, asked[0]))[0]
    world = world_of(session.catalog.find(plan.model.name))
    if (tower := tower_for(session, world)) is None:
        raise ModelNotFound(
            "no CLIP is here that can say how like its own pictures a subject is", hint="limner metrics pull clip-b32"
        )
    scorers, told = _scorers(session, world, plan.device, asked)
    first = default_seed(_arms(before, after, asked[0])) if seed is None else seed
    if first < trained_seeds:
        raise InvalidRequest(
            f"seed: its class was trained on pictures of the seeds 0 to {trained_seeds - 1}, which cannot judge it",
            field="seed",
            hint=f"leave it out, or begin at {trained_seeds}",
        )
    studies = tuple(
        study_of(
            _arms(before, after, each),
            [Text(words=each.words, prompt=each.prompt)],
            scorers,
            n=n,
            seed=first,
            margin=margin,
            diversity_margin=diversity_margin,
            alpha=alpha,
            notices=(*notices, *told) if k == 0 else (),
        )
        for k, each in enumerate(asked)
    )
    require_pairs(n, len(studies), alpha)
    design = Design(
        lora=lora,
        asked=tuple(asked),
        studies=studies,
        tower=tower,
        held_out=tuple(references.held),
        trained_on=tuple(references.trained),
        caps=() if references.held else (LEARNT_BY_HEART,),
    )
    return Ready(design, references, tuple(prepare_comparison(study, session) for study in studies))


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
    verdicts = judge_each(
        claims,
        alignment=study.scorers.alignment,
        diversity=study.scorers.diversity,
        margin=study.margin,
        diversity_margin=study.diversity_margin,
        worthwhile=study.worthwhile,
        alpha=study.alpha,
        looks=study.looks,
    )
    return tuple(replace(each, verdict=verdict) for each, verdict in zip(answers, verdicts, strict=True))


class _Looking:
    """Scores pictures as a comparison does, and looks meanwhile at what no score of it says: their likeness, and the
    answer to each question of the words, where the scorer asks any."""

    def __init__(self, session: Session, eye: Eye, asked: Asked, score: ScoreCall) -> None:
        self._session, self._eye, self._asked, self._score = session, eye, asked, score
        self.answers: dict[str, Mapping[str, float]] = {}
        """By pixel hash."""

    def __call__(
        self, images: Sequence[Image], texts: Sequence[str], metrics: Sequence[str], *, failures: Failures | None = None
    ) -> Sequence[Sequence[Score]]:
        own = [self._asked.words_of(image.record.prompt) for image in images]
        rows = self._score(images, own, metrics, failures=failures)
        self._eye.see(images)
        for k, image in enumerate(images):
            if failures is None or (k, metrics[0]) not in failures:
                told = self._session.scoring.answers(image.pixels, own[k], metrics[0])
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
            "a": tuple(value - (before - own) for value in values.a),
        }
    )
    return paired.model_copy(update={"values": {**paired.values, measure: lowered}}), spread


def _scorers(
    session: Session, world: str | None, device: str, asked: Sequence[Asked]
) -> tuple[Scorers, tuple[str, ...]]:
    """Who says whether words are followed, and what to say of that: the judge that asks fact by fact, where it knows
    the model's world and has a question for all these words, else the panel's CLIP. It judges and guards alike: nothing
    is searched here, so that nothing was chosen by it."""
    usual = default_scorers(session, world, device)
    words, caps, notices = usual.alignment or usual.judges[0], tuple[str, ...](), tuple[str, ...]()
    if world == POCKET_WORLD:
        strange = [text for each in asked for text in (each.words, *each.each.values()) if not read(text).atoms]
        if strange:
            notices = (f"{usual.judges[0]} finds nothing to ask about in {strange[0]!r}; words are judged by {words}",)
        else:
            words, caps = usual.judges[0], usual.caps
    return Scorers(judges=(words,), alignment=words, diversity=usual.diversity or PIXELS, caps=caps), notices


def _arms(before: Request, after: Request, asked: Asked) -> list[Arm]:
    """Named so that a table of many questions tells them apart."""
    words = asked.name if len(asked.name) <= 40 else f"{asked.name[:39]}…"
    return [
        Arm.of(f"{words} before", _with_words(before, asked)),
        Arm.of(f"{words} after", _with_words(after, asked)),
    ]


def _with_words(request: Request, asked: Asked) -> Request:
    # Not ``but``: that would set every field, and the user's own defaults fill those that are not.
    return request.model_copy(update={"prompt": asked.prompt})
