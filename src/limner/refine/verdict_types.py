"""What a verdict is made of: frozen JSON that can be stored, shown and checked again."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from limner.errors import InvalidRequest
from limner.refine.arms import Difference
from limner.refine.pairs import Scorer, Unit
from limner.types import Frozen, Notice

Outcome = Literal["better", "worse", "traded off", "no evidence"]
Role = Literal["judge", "alignment", "diversity"]
Finding = Literal["A", "B", "neither", "slight", "kept", "lost", "open"]


class Looks(Frozen):
    """The numbers of units, set before anything is drawn, at which it is looked, and the share of alpha each spends.

    Any shares that sum to at most 1 keep the chance of a false verdict at most alpha, whatever was seen before.
    """

    pairs: tuple[int, ...] = Field(min_length=1)
    shares: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self.pairs) != len(self.shares) or sorted(set(self.pairs)) != list(self.pairs):
            raise ValueError("looks: rising numbers of units, with one share of alpha each")
        if min(self.shares) <= 0 or sum(self.shares) > 1 + 1e-9:
            raise ValueError("looks: shares of alpha are above 0 and sum to at most 1")
        return self

    @classmethod
    def once(cls, pairs: int) -> Self:
        return cls(pairs=(pairs,), shares=(1.0,))

    @classmethod
    def twice(cls, pairs: int) -> Self:
        """At half of the units with three tenths of alpha, and at all of them with the rest."""
        return cls(pairs=(math.ceil(pairs / 2), pairs), shares=(0.3, 0.7))

    def number(self, pairs: int) -> int:
        """Which look (from 1) so many units are. Raises ``InvalidRequest`` for none of them."""
        if pairs not in self.pairs:
            preset = " and ".join(map(str, self.pairs))
            raise InvalidRequest(
                f"{pairs} is not a number of seeds or prompts at which it was meant to be looked",
                field="n",
                hint=f"set before drawing: {preset}. Looking whenever it suits makes false verdicts",
            )
        return 1 + self.pairs.index(pairs)

    def level(self, pairs: int, alpha: float) -> float:
        """The part of alpha that the look at so many units spends."""
        return alpha * self.shares[self.number(pairs) - 1]


class Test(Frozen):
    """What one scorer says. ``gain`` is the mean difference, positive where B is better on this scorer's scale.

    A judge's ``p`` is two-sided and ``adjusted`` is it after Holm; its ``finding`` is the arm that it prefers, or
    ``slight`` where any difference is shown to be below ``worthwhile`` (on the scorer's scale, like ``gain``), which
    ``needed`` units would find in four of five cases. Of a
    guard (alignment, diversity) ``p`` is that of non-inferiority by ``margin`` for the arm that would win: ``kept``
    where that is shown, ``lost`` where the loss itself is, ``open`` otherwise. ``low`` and ``high`` bound the gain at
    level 1 - alpha, ``None`` where the units are too few. ``detectable`` is the gain that so many units find in four of
    five cases, ``correlation`` that of A with B over the units: what pairing saves.
    """

    role: Role
    scorer: Scorer
    n: int
    mean_a: float
    mean_b: float
    gain: float
    sd: float
    low: float | None
    high: float | None
    p: float
    adjusted: float | None = None
    margin: float | None = None
    detectable: float | None = None
    worthwhile: float | None = None
    needed: int | None = None
    correlation: float | None = None
    wins: int = 0
    ties: int = 0
    losses: int = 0
    finding: Finding = "neither"


class Verdict(Frozen):
    """The conclusion on two arms, with all that it stands on. ``sentence`` says it in plain words.

    ``strength`` is ``indicative`` where ``caps`` lists a reason to believe it less. ``level`` is the part of ``alpha``
    that this look spent, ``hypotheses`` the tests that Holm went over, ``more`` about how many more units would settle
    what is open, if the difference seen is the true one. ``worthwhile`` is the smallest effect worth having,
    in standard deviations over seeds (both arms' pooled).
    """

    a: str
    b: str
    outcome: Outcome
    strength: Literal["confirmed", "indicative"]
    caps: tuple[str, ...] = ()
    sentence: str
    tests: tuple[Test, ...]
    unit: Unit
    n: int
    seeds: tuple[int, ...] = ()
    alpha: float
    level: float
    look: int = 1
    looks: Looks
    hypotheses: int = 1
    margin: float
    diversity_margin: float | None = None
    worthwhile: float = 0.0
    more: int | None = None
    differing: tuple[Difference, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def judges(self) -> tuple[Test, ...]:
        return tuple(test for test in self.tests if test.role == "judge")

    @property
    def guards(self) -> tuple[Test, ...]:
        return tuple(test for test in self.tests if test.role != "judge")

    @property
    def final(self) -> bool:
        """True where no further look is to come: it is decided, or all units are drawn."""
        return self.outcome != "no evidence" or self.look == len(self.looks.pairs)
