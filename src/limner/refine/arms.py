"""The two sides of a comparison and their pictures: an Arm is a whole Request, a Trial an Arm's Request with a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from pydantic import Field

from limner.image import Image
from limner.types import MAX_SEED, Frozen, Request, Score

NOT_THE_ARMS = frozenset({"n", "seed"})
"""Fields of a Request that say how many pictures and from where: a comparison chooses them, for both sides alike."""


class Trial(Frozen):
    """A Request to be drawn once, from ``seed``."""

    request: Request
    seed: int = Field(ge=0, le=MAX_SEED)

    @property
    def asked(self) -> Request:
        """The Request of this one picture."""
        return self.request.model_copy(update={"seed": self.seed, "n": 1})


class Arm(Frozen):
    """One side of a comparison: a whole Request, under the name it is shown by. ``n`` and ``seed`` of it are unset."""

    name: str
    request: Request

    @classmethod
    def of(cls, name: str, request: Request) -> Self:
        # Not ``but``: that would set every field, and the user's own defaults fill those that are not.
        return cls(name=name, request=request.model_copy(update={"n": 1, "seed": None}))

    def trial(self, seed: int) -> Trial:
        return Trial(request=self.request, seed=seed)


@dataclass(frozen=True, slots=True)
class Scored:
    """A Trial with its picture and scores by metric name. ``picture`` is the library's id; ``image`` is there while the
    pixels are in memory. A metric that could give no value has no entry, and says why in ``failures``; ``faults``
    are what shows without a model: blank, clipped."""

    trial: Trial
    pixel_hash: str
    scores: Mapping[str, Score]
    picture: str | None = None
    image: Image | None = field(default=None, compare=False, repr=False)
    failures: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    def value(self, metric: str) -> float | None:
        """The value by that metric, or ``None`` where it gave none."""
        score = self.scores.get(metric)
        return None if score is None else score.value


class Difference(Frozen):
    """A field of the Request in which two arms differ, and what each says, as text; empty where not said."""

    field: str
    a: str
    b: str


def differing(a: Request, b: Request) -> tuple[Difference, ...]:
    """Every field in which two Requests differ, in the Request's order; ``n`` and ``seed`` are no part of an arm."""
    names = [name for name in type(a).model_fields if name not in NOT_THE_ARMS]
    pairs = ((name, getattr(a, name), getattr(b, name)) for name in names)
    return tuple(Difference(field=name, a=_shown(x), b=_shown(y)) for name, x, y in pairs if x != y)


def _shown(value: object) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
