"""Paired values made of numbers, and metrics of pixels: what tests of verdicts and comparisons stand on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import ArrayLike

from limner import registry
from limner.evaluate.metric import Embeddings, MetricCard
from limner.refine.pairs import Paired, Scorer, Unit, Values
from limner.types import Pixels, Score
from tests.standins import Redness
from tests.standins import card as card_named


def paired_by(unit: Unit = "seed", **sides: tuple[ArrayLike, ArrayLike]) -> Paired:
    """A and B over as many units as there are values, by scorer name."""
    values = {
        name: Values(
            scorer=Scorer(name=name, revision="1"),
            a=tuple(float(v) for v in np.atleast_1d(a)),
            b=tuple(float(v) for v in np.atleast_1d(b)),
        )
        for name, (a, b) in sides.items()
    }
    n = len(next(iter(values.values())).a)
    return Paired(
        a="A", b="B", unit=unit, units=tuple(map(str, range(n))), planned=n, values=values, seeds=tuple(range(n))
    )


def drawn(
    rng: np.random.Generator, n: int = 24, judge: float = 0.0, alignment: float = 0.0, diversity: float = 0.0
) -> Paired:
    """Values with standard deviation 1 that B raises by so much; A and B share half of their variance."""

    def sides(effect: float) -> tuple[ArrayLike, ArrayLike]:
        seed = rng.normal(size=n) * np.sqrt(0.5)
        a, b = (seed + rng.normal(size=n) * np.sqrt(0.5) for _ in range(2))
        return a, b + effect

    return paired_by(judge=sides(judge), alignment=sides(alignment), diversity=sides(diversity))


class PixelMetric:
    """A metric that is a function of the pixels and the text; subclasses say which."""

    card: ClassVar[MetricCard]

    def missing(self) -> str | None:
        return None

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        words = texts or [""] * len(images)
        name, revision = self.card.name, self.card.revision
        return [
            Score(scorer=name, revision=revision, value=self.value(pixels, text), scale="", domain=self.card.domain)
            for pixels, text in zip(images, words, strict=True)
        ]

    def value(self, pixels: Pixels, text: str) -> float:
        raise NotImplementedError


def register(
    monkeypatch: pytest.MonkeyPatch, name: str, value: Callable[[Pixels, str], float], **facts: object
) -> type[PixelMetric]:
    """A stand-in metric under a name, for one test. ``facts`` are fields of its card."""
    about = {"title": name, "revision": "1", "takes": "picture and text", "scale": "", "source": "test", **facts}
    card = MetricCard.model_validate({"name": name, **about})
    made = type(name, (PixelMetric,), {"card": card, "value": lambda self, pixels, text: value(pixels, text)})
    really = registry.load
    names = registry.names
    monkeypatch.setattr(
        registry, "load", lambda kind, asked: made if (kind, asked) == ("metrics", name) else really(kind, asked)
    )
    monkeypatch.setattr(
        registry, "names", lambda kind: tuple(sorted({*names(kind), *([name] if kind == "metrics" else [])}))
    )
    return made


def redness(pixels: Pixels, text: str) -> float:
    return float(pixels[..., 0].mean()) / 255


def blueness(pixels: Pixels, text: str) -> float:
    return float(pixels[..., 2].mean()) / 255


class Cells(Redness):
    """Sees a picture as its sixteen cells' colours."""

    card: ClassVar[MetricCard] = card_named("cells")

    def embed(self, images: Sequence[Pixels], cache: Embeddings) -> list[np.ndarray[tuple[int, ...], np.dtype]]:
        step = [image.shape[0] // 4 for image in images]
        cells = [image[k // 2 :: k, k // 2 :: k] for image, k in zip(images, step, strict=True)]
        return [each.astype(np.float64).ravel() - 90 for each in cells]


CELLS = f"{__name__}:{Cells.__name__}"
