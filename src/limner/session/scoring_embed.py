"""Pictures as vectors, by the towers that scorers have loaded: what a scorer saw once is not looked at again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from limner.evaluate.metric import Embedding, Embeddings
from limner.evaluate.towers import ClipMetric

if TYPE_CHECKING:
    from limner.types import Pixels

Embed: TypeAlias = "Callable[[Sequence[Pixels], Embeddings], Sequence[Embedding]]"


def embed_of(metric: object) -> Embed | None:
    """How a metric turns pictures into vectors [D] that can be compared by their cosine; ``None`` where it cannot."""
    if isinstance(metric, ClipMetric):
        return lambda images, cache: list(metric.tower().images(images, cache, metric.prepare))
    own = getattr(metric, "embed", None)
    return own if callable(own) else None
