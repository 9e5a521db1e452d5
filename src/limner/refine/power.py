"""What so many units can find, said before the first picture: power, and the smallest effect worth having.

All in standard deviations over seeds. How much pairing by seed saves is known only when both sides are drawn; foreseen
is the worst, that it saves nothing, where differences scatter by the square root of two as much as values.
"""

from __future__ import annotations

import math
from typing import Literal

from limner.errors import InvalidRequest
from limner.evaluate.statistics import detectable_effect, pairs_needed

WORTHWHILE = 0.2
"""Standard deviations over seeds: a gain below this is not worth having (Cohen's "small")."""
LARGEST = 10.0


def check_worthwhile(worthwhile: float) -> None:
    """Raises ``InvalidRequest`` for what is no effect: below zero, above 10 standard deviations, NaN."""
    if not 0 <= worthwhile <= LARGEST:
        raise InvalidRequest(
            f"worthwhile: {worthwhile} is not between 0 and {LARGEST:g} standard deviations",
            field="worthwhile",
            hint="0.2 is usual; 0 counts any difference",
        )


def foreseen(units: int, unit: Literal["seed", "prompt"], worthwhile: float, level: float) -> str:
    """A line for people: what ``units`` find with a chance of 4 in 5 at ``level``, and what the smallest effect worth
    having would need."""
    scatter = math.sqrt(2)
    found = detectable_effect(units, level) * scatter
    needed = pairs_needed(worthwhile / scatter, level)
    can = (
        f"{units} {unit}s find a difference of {found:.2g} SD in four of five cases"
        if math.isfinite(found)
        else f"{units} {unit}s are too few to find a difference"
    )
    if needed is None or needed <= units:
        return f"{can}, at worst"
    return f"{can}, at worst; one of {worthwhile:g} SD, the smallest worth having, would take {needed}"
