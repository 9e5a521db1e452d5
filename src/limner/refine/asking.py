"""What a search asks of whoever draws and scores: the same for pictures, for a journal, and for a simulation."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from limner.refine.arms import Scored, Trial
from limner.refine.strategy import Candidate
from limner.types import Request

YOU = "your-votes"
"""The scorer's name where a person votes."""
Phase = Literal["search", "verdict", "vote"]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Ask:
    """Draw these trials and score them by ``metrics`` against ``words``; the answer is one Scored each, in order.

    ``diversity`` asks for each picture's mean distance to the others of the ask, under that name. ``rivals``: the
    pictures that a person compares these with, one by one (phase "vote").
    """

    trials: tuple[Trial, ...]
    metrics: tuple[str, ...]
    words: str
    phase: Phase = "search"
    diversity: str | None = None
    rivals: tuple[Trial, ...] = ()
    why: str = ""


Asking: TypeAlias = Generator[Ask, Sequence[Scored], Result]


def answered(asking: Asking[Result], answer: Callable[[Ask], Sequence[Scored]]) -> Result:
    """Run a search to its end, answering what it asks."""
    try:
        ask = next(asking)
        while True:
            ask = asking.send(answer(ask))
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        asking.close()


Choose: TypeAlias = Callable[[Sequence[Candidate]], Sequence[Candidate]]


@dataclass(frozen=True, slots=True)
class World:
    """What a search may call upon beside asking. ``identify`` gives what decides a Request's pixels, and raises
    ``InvalidRequest`` or ``UnsupportedField`` for one that the model cannot draw. ``choose`` lets a person strike
    candidates out. ``over`` says that the search's time is spent. ``tell`` is told lines for people, ``warn`` what must
    not be lost."""

    identify: Callable[[Request], str]
    choose: Choose = tuple
    over: Callable[[], bool] = lambda: False
    tell: Callable[[str], None] = lambda text: None
    warn: Callable[[str], None] = lambda text: None
    signs: Mapping[str, int] = field(default_factory=dict)

    def sign(self, metric: str) -> int:
        return self.signs.get(metric, 1)
