"""A metric's card by its name, without making the metric."""

from __future__ import annotations

from limner import registry
from limner.errors import InvalidRequest
from limner.evaluate.metric import MetricCard


def card_of(name: str) -> MetricCard:
    """A metric's card. Raises ``UnknownName``."""
    card = getattr(registry.load("metrics", name), "card", None)
    if not isinstance(card, MetricCard):
        raise InvalidRequest(f"the metric {name} has no card", field="metric", hint="it must name its MetricCard")
    return card
