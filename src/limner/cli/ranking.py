"""``--rank``: the pictures of a request in the order a scorer gives them, as DALL-E mini's makers showed theirs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from limner.errors import InvalidRequest, ModelNotFound, UnknownName

if TYPE_CHECKING:
    from limner.session import Session
    from limner.types import Picture

AUTO = "auto"


def scorer_for(session: Session, name: str, world: str) -> str:
    """The scorer that ``name`` means for pictures of that world, found able to run before anything is drawn.

    Raises ``UnknownName``, ``InvalidRequest`` for one that reads no words, ``ModelNotFound`` where its weights are not
    here.
    """
    from limner import registry
    from limner.evaluate.defaults import panel
    from limner.models.machine import probe

    known = registry.names("metrics")
    chosen = name
    if name == AUTO:
        machine = probe()
        chosen = panel(world, machine.devices()[0], machine).search[0]
    if chosen not in known:
        raise UnknownName("metric", chosen, known)
    metric = session.scoring.metric(chosen)
    if metric.card.takes != "picture and text":
        raise InvalidRequest(
            f"rank: {chosen} does not compare pictures with words", field="rank", hint="limner metrics lists those"
        )
    if command := metric.missing():
        raise ModelNotFound(f"the scorer {chosen} is not on this machine", hint=f"it is fetched by: {command}")
    return chosen


def rank(session: Session, pictures: Sequence[Picture], words: str, scorer: str) -> list[tuple[Picture, float]]:
    """The pictures with their scores against ``words``, best first. Raises as ``Session.score``."""
    from limner.image import Image

    subjects = [each if isinstance(each, Image) else Image(each.pixels, each.record) for each in pictures]
    scores = session.score(subjects, words, [scorer])
    better = session.scoring.metric(scorer).card.better
    found = [(picture, row[0].value) for picture, row in zip(pictures, scores, strict=True)]
    return sorted(found, key=lambda each: each[1], reverse=better == "higher")


def tell(ranked: Sequence[tuple[Picture, float]], scorer: str, *, as_json: bool) -> None:
    """The order, on stderr for people and as one more object on stdout for programs."""
    from limner.cli.console import out, say

    if as_json:
        pictures = [
            {"index": each.record.index, "id": each.id, "seed": each.record.seed.text(), "score": value}
            for each, value in ranked
        ]
        out(json.dumps({"ranking": pictures, "scorer": scorer}))
        return
    say(f"by {scorer}, best first:")
    for place, (picture, value) in enumerate(ranked, 1):
        name = picture.id or f"picture {picture.record.index + 1}"
        say(f"{place:3}. {name}  seed {picture.record.seed.text()}  {value:.4g}", dim=place > 1)
