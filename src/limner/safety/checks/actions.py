"""What follows from a checker's findings on each level: nothing, a blurred picture, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from limner.safety.checks.check import Category, Finding, Verdict
from limner.types import SafetyLevel

Action = Literal["allow", "blur", "block"]
SEVERITY: Mapping[Action, int] = {"allow": 0, "blur": 1, "block": 2}

_BLOCK_BOTH: Mapping[Verdict, Action] = {"possible": "block", "likely": "block"}
_BLOCK_THEN_BLUR: Mapping[Verdict, Action] = {"possible": "blur", "likely": "block"}
_BLUR_LIKELY: Mapping[Verdict, Action] = {"likely": "blur"}
_ALLOW: Mapping[Verdict, Action] = {}

ACTIONS: Mapping[SafetyLevel, Mapping[Category, Mapping[Verdict, Action]]] = {
    "strict": {
        "sexual": _BLOCK_BOTH,
        "sexual_minors": _BLOCK_BOTH,
        "violence_graphic": _BLOCK_THEN_BLUR,
        "dangerous": _BLOCK_THEN_BLUR,
    },
    "standard": {
        "sexual": _BLOCK_THEN_BLUR,
        "sexual_minors": _BLOCK_BOTH,
        "violence_graphic": _BLUR_LIKELY,
        "dangerous": _BLUR_LIKELY,
    },
    "adult": {
        "sexual": _ALLOW,
        "sexual_minors": _BLOCK_BOTH,
        "violence_graphic": _ALLOW,
        "dangerous": _ALLOW,
    },
}
"""What is clear is allowed everywhere; what no level allows is the same on all three."""


def action(level: SafetyLevel, finding: Finding) -> Action:
    """What one finding asks for."""
    return ACTIONS[level][finding.category].get(finding.verdict, "allow")


def gravest(level: SafetyLevel, findings: Sequence[Finding]) -> tuple[Action, Finding | None]:
    """The gravest action asked for and the finding that asks for it; of equals, the one that no level allows."""
    ranked = sorted(
        findings,
        key=lambda each: (SEVERITY[action(level, each)], each.category == "sexual_minors"),
        reverse=True,
    )
    if not ranked or action(level, ranked[0]) == "allow":
        return "allow", None
    return action(level, ranked[0]), ranked[0]
