"""What is refused of a request's words, at one level.

>>> Policy("standard").review(Said("a red fox in the snow"))
()
"""

from __future__ import annotations

from typing import Final

from limner.errors import Refused
from limner.safety.rules import Finding, findings
from limner.safety.said import Said
from limner.safety.signals import read, unchecked
from limner.types import Notice, SafetyLevel

VERSION: Final = "2026.3"
"""Of the rules and lists together; audit lines carry it."""

_NAMES: Final = {
    "sexual_minors": "sexual content with minors",
    "sexual_real_person": "sexual content of a real person",
    "sexual": "sexual content",
    "violence_graphic": "graphic violence",
    "self_harm": "suicide and self-harm",
    "hate": "hate",
    "illegal": "extremism and instructions for crimes",
}
_QUOTES: Final = 3


class Policy:
    """The rules at one level. Reads no network, imports no torch, changes no word."""

    def __init__(self, level: SafetyLevel = "standard") -> None:
        self.level: SafetyLevel = level

    def review(self, said: Said) -> tuple[Notice, ...]:
        """Notices of what could not be looked at. Raises ``Refused`` naming category, rule, words and what passes."""
        found = read(said)
        if applying := findings(found, self.level):
            raise refusal(applying[0], self.level)
        scripts = unchecked(said)
        if not scripts:
            return ()
        message = f"no word list of the policy covers {' and '.join(scripts)} script: these words are unchecked"
        return (Notice(code="unchecked-language", message=message),)


def refusal(finding: Finding, level: SafetyLevel) -> Refused:
    """The error for what a rule found."""
    quoted = tuple(dict.fromkeys(signal.quoted for signal in finding.signals))
    places = dict.fromkeys(signal.where for signal in finding.signals[:_QUOTES])
    shown = " and ".join(f"“{words:.60}”" for words in quoted[:_QUOTES])
    where = " and ".join("the names of adapters" if place == "loras" else place for place in places)
    return Refused(
        f"refused: {_NAMES[finding.category]} ({shown} in {where}; rule {finding.rule}, level {level})",
        category=finding.category,
        rule=finding.rule,
        quoted=quoted,
        passes=finding.passes,
        hint=f"what passes: {finding.passes}",
    )
