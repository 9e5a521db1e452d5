"""Asking metrics for scores: what their cards tell before anything is drawn, then values picture by picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from limner import registry
from limner.errors import LimnerError, ModelNotFound, ScorerOutOfDomain
from limner.evaluate.defaults import panel
from limner.evaluate.metric import ANY
from limner.image import Image
from limner.models.catalog import Card
from limner.models.machine import probe
from limner.refine import diversity
from limner.refine.arms import Arm, Scored, Trial
from limner.refine.cards import card_of as card_of
from limner.refine.compare_study import Scorers
from limner.refine.faults import faults_of
from limner.refine.pairs import Scorer
from limner.session import Session
from limner.types import Score

Failures: TypeAlias = "dict[tuple[int, str], LimnerError]"
"""What could not be valued: by the picture's place in the list (from 0) and the metric's name."""


class ScoreCall(Protocol):
    """``Session.score``: a row a picture with a Score a metric, in order; those in ``failures`` are missing from it."""

    def __call__(
        self, images: Sequence[Image], texts: Sequence[str], metrics: Sequence[str], *, failures: Failures | None = None
    ) -> Sequence[Sequence[Score]]: ...


def scorer_of(name: str) -> Scorer:
    """What a verdict says of a metric."""
    if diversity.is_measure(name):
        return diversity.scorer(name)
    card = card_of(name)
    return Scorer(name=name, revision=card.revision, scale=card.scale, domain=card.domain, better=card.better)


def check_scorers(session: Session, names: Iterable[str], worlds: Mapping[str, str | None]) -> None:
    """Raises before anything is drawn what is known already: ``UnknownName``, ``InvalidRequest`` for a metric of sets,
    ``ModelNotFound`` for missing weights, ``ScorerOutOfDomain`` for models (with their worlds, ``None``: not
    known) that it knows nothing of."""
    for name in names:
        metric = session.scoring.of_pictures(name)
        for model, world in worlds.items():
            if metric.card.domain not in (ANY, world):
                draws = "draws other pictures" if world is not None else "is not known to draw such pictures"
                raise ScorerOutOfDomain(
                    f"{name} knows {metric.card.domain} alone, and {model} {draws}{f' ({world})' if world else ''}",
                    hint="choose scorers of any pictures, such as clip-b32 (limner metrics)",
                )
        if (command := metric.missing()) is not None:
            raise ModelNotFound(f"the weights of {name} are not here", hint=f"fetch them: {command}")


def scorers_for(session: Session, arms: Sequence[Arm], judges: Sequence[str], alignment: str | None) -> Scorers:
    """The scorers that are named, and for those that are not what fits the arms' models and this machine. Alignment is
    guarded by the first named judge that reads words, where none is named for it. Raises what ``Session.plan`` raises.
    """
    requests = {arm.request.model: arm.request for arm in arms}
    planned = [session.plan(request.model_copy(update={"seed": 0, "n": 1}))[0] for request in requests.values()]
    cards = [session.catalog.find(plan.model.name) for plan in planned]
    worlds = {world_of(card) for card in cards}
    chosen = default_scorers(session, worlds.pop() if len(worlds) == 1 else None, planned[0].device)
    if not judges:
        return chosen if alignment is None else chosen.model_copy(update={"alignment": alignment})
    reading = next((name for name in judges if reads_words(session, name)), None)
    here = chosen.alignment if chosen.alignment is not None and is_here(session, chosen.alignment) else None
    guard = alignment or reading or here
    wanted = [each for each in (guard, *judges) if each is not None and each in registry.names("metrics")]
    measure = diversity.measure_of(session, wanted)
    if measure == diversity.PIXELS:
        measure = chosen.diversity or measure  # the usual scorers of this world compare more than pixels
    return Scorers(judges=tuple(judges), alignment=guard, diversity=measure)


def default_scorers(session: Session, world: str | None, device: str) -> Scorers:
    """Who judges pictures of a world (``None``: of several, or not known) where nobody chose: the panel's judges, and
    its first search scorer for alignment with the words.

    Where none of those judges is here but a search scorer is, that one judges and the verdict is capped: a comparison
    searches nothing, so that it has not chosen what it judges.
    """
    chosen = panel(world, device, probe())
    caps = (chosen.reason,) if chosen.capped else ()
    here = [name for name in chosen.search if is_here(session, name)]
    judges = chosen.judges
    if here and not any(is_here(session, name) for name in judges):
        caps = (f"{' and '.join(judges)} is not here, so that {here[0]} judges", *caps)
        judges = (here[0],)
    measure = diversity.measure_of(session, here)
    return Scorers(judges=judges, alignment=(here or chosen.search)[0], diversity=measure, caps=caps)


def world_of(card: Card | None) -> str | None:
    """What a model's card says of its pictures; ``None`` where it is not known."""
    return None if card is None or card.world == "not known" else card.world


def reads_words(session: Session, name: str) -> bool:
    """True for a metric that scores pictures against a text. Raises ``UnknownName``."""
    return session.scoring.of_pictures(name).card.takes == "picture and text"


def is_here(session: Session, name: str) -> bool:
    """True where a metric is known and its weights are here."""
    return name in registry.names("metrics") and session.scoring.of_pictures(name).missing() is None


def scored(
    score: ScoreCall, images: Sequence[Image], trials: Sequence[Trial], text: str, metrics: Sequence[str]
) -> list[Scored]:
    """The pictures with their scores against ``text``. What a metric cannot value has no entry and its reason in
    ``failures``; what would stop every picture alike (a missing metric, a wrong domain) is raised."""
    failed: Failures = {}
    rows = score(images, [text] * len(images), metrics, failures=failed)
    return [
        Scored(
            trial,
            image.record.pixel_hash,
            {each.scorer: each for each in row},
            image.id,
            image,
            {name: error.message for (place, name), error in failed.items() if place == k},
            faults_of(image.pixels),
        )
        for k, (trial, image, row) in enumerate(zip(trials, images, rows, strict=True))
    ]
