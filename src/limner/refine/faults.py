"""Faults of pictures that show without a model: blank or clipped ones win nothing, whatever a scorer says of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from limner.evaluate.blank import Blank
from limner.evaluate.clipped import Clipped
from limner.evaluate.model_free import faults

if TYPE_CHECKING:
    from limner.refine.arms import Scored
    from limner.types import Pixels

METRICS = (Blank(), Clipped())


class _Nothing:
    """A cache that keeps nothing: these metrics are quicker computed than looked up."""

    def get(self, key: str) -> None:
        return None

    def put(self, key: str, embedding: object) -> None: ...


def faults_of(pixels: Pixels) -> tuple[str, ...]:
    """What is wrong with a picture, in words; empty where nothing is."""
    scores = [metric.score([pixels], [], _Nothing())[0] for metric in METRICS]
    return tuple(notice.message for notice in faults(scores))


def more_than(own: Iterable[Scored], theirs: Iterable[Scored]) -> str:
    """Why a candidate is out, where more of its pictures are at fault than of the user's own on the same seeds; else
    empty. More than, so that words which ask for a white background are not held against themselves."""
    mine = {each.trial.seed: each for each in own}
    common = [(mine[each.trial.seed], each) for each in theirs if each.trial.seed in mine]
    before, after = (sum(bool(pair[side].faults) for pair in common) for side in (0, 1))
    if after <= before:
        return ""
    return f"{after} of {len(common)} pictures at fault: {first_of([each for _, each in common])}"


def told(arms: Iterable[tuple[str, Sequence[Scored]]]) -> list[str]:
    """A line for each arm that has pictures at fault."""
    lines = []
    for name, pictures in arms:
        wrong = sum(bool(each.faults) for each in pictures)
        if wrong:
            lines.append(f"{name}: {wrong} of {len(pictures)} pictures at fault: {first_of(pictures)}")
    return lines


def first_of(pictures: Sequence[Scored]) -> str:
    """The first fault there is."""
    return next((fault for each in pictures for fault in each.faults), "")
