"""What scorers know beside a score: pictures as vectors by their towers, and answers to questions of a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def answers_of(metric: object) -> Callable[[Pixels, str], Mapping[str, float]] | None:
    """How a metric answers a text's questions of a picture, one by one: chances of yes [0, 1] by question; ``None`` for
    one that asks none."""
    ask = getattr(metric, "answers", None)
    if not callable(ask):
        return None

    def answered(pixels: Pixels, text: str) -> Mapping[str, float]:
        return dict(map(_said, ask(pixels, text)))

    return answered


def _said(answer: object) -> tuple[str, float]:
    """Of an Answer of the pocket judge (an atom, its chance), or of ``atoms`` (a question, with its value)."""
    atom, question = getattr(answer, "atom", None), getattr(answer, "question", None)
    if atom is not None:
        return str(atom.question), float(getattr(answer, "yes"))  # noqa: B009  # two shapes, told apart by name
    return str(getattr(question, "text", question)), float(getattr(answer, "value"))  # noqa: B009
