"""Whether a model that was adapted has learnt its subject, and what that cost, by the rules of evidence.

Three questions, each its own verdict over paired seeds. Is the subject more like the pictures it was learnt from (mean
cosine to all of them, as DINO-I and CLIP-I of Ruiz et al. 2022), with the words of the scene still followed? And are
other things still drawn as they were asked for: those of its class, and those that have nothing to do with it?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from limner.evaluate.metric import Embedding
from limner.image import Image
from limner.refine.arms import differing
from limner.refine.cards import card_of
from limner.refine.compare_scoring import default_scorers, is_here, scorer_of, world_of
from limner.refine.diversity import measure_of, shares, vectors
from limner.refine.pairs import Paired, Scorer, Values
from limner.refine.verdict import LEAST_PAIRS, Verdict, judge
from limner.session import Session
from limner.types import Pixels, Request

FIDELITY: Final = "fidelity"
SEEDS: Final = 16
GUARD_MARGIN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """Words that are drawn by both, and the words that pictures are scored against; ``what`` they are for people."""

    what: str
    prompt: str
    words: str


@dataclass(frozen=True, slots=True)
class Answered:
    """``a`` and ``b`` are the mean scores before and after; ``likeness`` the mean cosines to the subject's pictures,
    where those are known."""

    asked: Asked
    verdict: Verdict
    likeness: tuple[float, float] | None

    @property
    def kept(self) -> str:
        """What became of following the words: ``kept``, ``lost`` or ``open``."""
        return next((test.finding for test in self.verdict.tests if test.role == "alignment"), "open")


def prove(
    before: Request,
    after: Request,
    subject: Asked,
    others: Sequence[Asked],
    references: Sequence[Pixels],
    session: Session,
    *,
    n: int = SEEDS,
    seed: int = 0,
) -> tuple[Answered, ...]:
    """The subject first, then each of the others. ``before`` and ``after`` differ in the LoRA alone; their words are
    replaced. Raises what drawing and scoring raise, ``InvalidRequest`` for fewer than seven seeds."""
    n = max(n, LEAST_PAIRS)
    card = session.catalog.find(session.plan(before.but(prompt=subject.prompt))[0].model.name)
    scorers = default_scorers(session, world_of(card), session.plan(before.but(prompt=subject.prompt))[0].device)
    judge_name = scorers.judges[0]
    towers = [name for name in ("pocket-clip", "clip-b32", "clip-l14") if _can(session, name)]
    tower = next((name for name in towers if card_of(name).domain in ("any", world_of(card))), None)
    known = [] if tower is None or not references else list(session.scoring.embed(list(references), tower))
    made = []
    for k, asked in enumerate((subject, *others)):
        pictures = [_drawn(each, asked, session, n, seed) for each in (before, after)]
        scores = [_scores(session, each, asked.words, judge_name) for each in pictures]
        likes = None if not known or tower is None else [_likeness(session, each, known, tower) for each in pictures]
        values = {judge_name: Values(scorer=scorer_of(judge_name), a=scores[0], b=scores[1])}
        measure = measure_of(session, [judge_name])
        spread = [tuple(shares(measure, vectors(session, measure, each))) for each in pictures]
        values[measure] = Values(scorer=scorer_of(measure), a=spread[0], b=spread[1])
        judges = [judge_name]
        if likes is not None and k == 0:
            values[FIDELITY] = Values(scorer=_fidelity(str(tower)), a=likes[0], b=likes[1])
            judges = [FIDELITY]
        paired = Paired(
            a="before",
            b="after",
            unit="seed",
            units=tuple(map(str, range(seed, seed + n))),
            planned=n,
            values=values,
            seeds=tuple(range(seed, seed + n)),
            differing=differing(before, after),
        )
        # A subject's pictures are meant to be more alike: only of the others is diversity guarded.
        guard = measure if k else None
        verdict = judge(paired, judges=judges, alignment=judge_name, diversity=guard, margin=GUARD_MARGIN)
        means = None if likes is None else (float(np.mean(likes[0])), float(np.mean(likes[1])))
        made.append(Answered(asked, verdict, means))
    return tuple(made)


def _can(session: Session, name: str) -> bool:
    return is_here(session, name) and session.scoring.can_embed(name)


def _drawn(request: Request, asked: Asked, session: Session, n: int, seed: int) -> list[Image]:
    return list(session.generate(request.but(prompt=asked.prompt, n=n, seed=seed)).result())


def _scores(session: Session, images: Sequence[Image], words: str, name: str) -> tuple[float, ...]:
    rows = session.score(list(images), [words] * len(images), [name])
    return tuple(float(row[0].value) for row in rows)


def _likeness(session: Session, images: Sequence[Image], known: Sequence[Embedding], tower: str) -> tuple[float, ...]:
    """Each picture's mean cosine to the subject's own."""
    seen = _unit(np.asarray(session.scoring.embed([each.pixels for each in images], tower), dtype=np.float64))
    return tuple(map(float, (seen @ _unit(np.asarray(known, dtype=np.float64)).T).mean(axis=1)))


def _unit(rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    made: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


def _fidelity(tower: str) -> Scorer:
    card = card_of(tower)
    return Scorer(
        name=FIDELITY,
        revision=f"1-{tower}-{card.revision}",
        scale=f"mean cosine to the pictures it was learnt from, by {tower}",
        domain=card.domain,
    )
