"""Paired values: what each scorer says of A and of B in every unit (a seed, or a prompt), ready to be judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import model_validator

from limner.refine.arms import Difference
from limner.types import Frozen, Notice

Unit = Literal["seed", "prompt"]


class Scorer(Frozen):
    """Who says a value, and on what scale. ``better`` says which way is good."""

    name: str
    revision: str
    scale: str = ""
    domain: str = "any"
    better: Literal["higher", "lower"] = "higher"

    @property
    def sign(self) -> int:
        return 1 if self.better == "higher" else -1


class Values(Frozen):
    """One scorer's values of A and B, one each a unit and in the same order.

    ``spread_a`` and ``spread_b`` are the standard deviations over seeds (pooled within prompts where a unit is a
    prompt), the yardstick of margins; ``None``: taken from the values themselves.
    """

    scorer: Scorer
    a: tuple[float, ...]
    b: tuple[float, ...]
    spread_a: float | None = None
    spread_b: float | None = None


class Paired(Frozen):
    """Two arms over common units: seeds of one prompt, or prompts (each the mean over its seeds).

    ``planned`` counts the units that were meant to be drawn; those without a value by some scorer are missing from
    ``units`` and told in ``notices``.
    """

    a: str
    b: str
    unit: Unit
    units: tuple[str, ...]
    planned: int
    values: Mapping[str, Values]
    seeds: tuple[int, ...] = ()
    differing: tuple[Difference, ...] = ()
    notices: tuple[Notice, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name, values in self.values.items():
            if not len(values.a) == len(values.b) == len(self.units):
                raise ValueError(f"{name} has {len(values.a)} and {len(values.b)} values for {len(self.units)} units")
        if self.planned < len(self.units):
            raise ValueError(f"{len(self.units)} units of {self.planned} planned")
        return self

    def swapped(self) -> Self:
        """The same with A for B."""
        values = {
            name: each.model_copy(
                update={"a": each.b, "b": each.a, "spread_a": each.spread_b, "spread_b": each.spread_a}
            )
            for name, each in self.values.items()
        }
        differing = tuple(Difference(field=each.field, a=each.b, b=each.a) for each in self.differing)
        return self.model_copy(update={"a": self.b, "b": self.a, "values": values, "differing": differing})
