"""May this scorer judge that picture: its Record says which model's world it is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from limner.errors import ScorerOutOfDomain
from limner.evaluate.metric import ANY, Metric, MetricCard
from limner.models.catalog import Catalog
from limner.session.scoring_subjects import Subject
from limner.types import Record

UNKNOWN_ORIGIN = "of unknown origin: the scorer may not know such pictures"

Instead = Callable[[], Metric | None]


def world_of(record: Record | None, catalog: Catalog) -> str | None:
    """The world of a picture's model, as its card says it; ``None`` where model or world is not known."""
    card = None if record is None else catalog.find(record.model.name)
    return None if card is None or card.world == "not known" else card.world


def flags(
    subjects: Sequence[Subject], cards: Sequence[MetricCard], catalog: Catalog, *, force: bool, instead: Instead
) -> list[dict[str, str]]:
    """For each picture, a flag by the name of each scorer that takes it though nothing says that it may.

    ``force`` lets pictures of unknown origin through, so flagged; one known to be of another world never. ``instead``
    gives the scorer that a refusal names. Raises ``ScorerOutOfDomain``.
    """
    found: list[dict[str, str]] = []
    for subject in subjects:
        world = world_of(subject.record, catalog)
        mine = {}
        for card in () if subject.damaged else cards:
            if card.domain in (ANY, world):
                continue
            if world is not None or not force:
                raise _refusal(subject, card, world, instead())
            mine[card.name] = UNKNOWN_ORIGIN
        found.append(mine)
    return found


def _refusal(subject: Subject, card: MetricCard, world: str | None, instead: Metric | None) -> ScorerOutOfDomain:
    model = "" if subject.record is None else f" by {subject.record.model.name}"
    what = f"is of {world}{model}" if world else f"is of unknown origin{model}"
    right = "a scorer of pictures of any kind judges it"
    if instead is not None:
        command = instead.missing()
        right = f"{instead.card.name} judges pictures of any kind" + (
            f"; it is fetched by: {command}" if command else ""
        )
    forced = "" if world else "; --force scores it all the same, and flags the score"
    return ScorerOutOfDomain(f"{card.name} knows {card.domain} alone; {subject.name} {what}", hint=f"{right}{forced}")
