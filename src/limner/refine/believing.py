"""What a judge's own card says it cannot tell: a verdict that rests on it is indicative only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from limner import registry
from limner.evaluate.metric import MetricCard
from limner.evaluate.pocket_atoms import read
from limner.refine.cards import card_of

WEAK = "little better than chance at:"
"""What a card's ``verified`` says before the kinds of questions that its metric cannot answer."""


def weak_kinds(card: MetricCard) -> frozenset[str]:
    """The kinds of questions (``colour``, ``thing`` ...) that a metric answers hardly better than a coin, by its card.
    Better weights bring another card."""
    _, found, rest = card.verified.partition(WEAK)
    return frozenset(kind.strip() for kind in rest.partition(";")[0].split(",")) if found else frozenset()


def caps_of(judges: Iterable[str], texts: Sequence[str]) -> tuple[str, ...]:
    """Reasons to believe judges less on these texts, one a judge; names that are no metric's are passed over."""
    caps = []
    for name in judges:
        weak = weak_kinds(card_of(name)) if name in registry.names("metrics") else frozenset()
        asked = {str(atom.kind) for text in texts for atom in read(text).atoms} if weak else set()
        if unsure := sorted(weak & asked):
            caps.append(f"by its own card {name} is little better than chance at {', '.join(unsure)}")
    return tuple(caps)
