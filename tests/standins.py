"""Stand-in metrics: values computed from pixels, so that what stands around metrics can be tested without weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from limner import registry
from limner.errors import InvalidRequest
from limner.evaluate.metric import Embeddings, MetricCard
from limner.library.files import pixel_hash
from limner.types import Pixels, Score

CALLS: list[tuple[str, int]] = []
"""(metric, pictures) of every call of ``score`` or ``measure``."""


def card(name: str, **more: object) -> MetricCard:
    said = {
        "name": name,
        "title": name,
        "revision": "1",
        "takes": "picture and text",
        "scale": "0..1",
        "source": "a stand-in",
        **more,
    }
    return MetricCard.model_validate(said)


def score_of(card: MetricCard, value: float, *flags: str) -> Score:
    return Score(
        scorer=card.name, revision=card.revision, value=value, scale=card.scale, domain=card.domain, flags=flags
    )


class Redness:
    """Mean of red in 0..1, plus a thousandth a word of the text. Its embedding [3] is cached. A text over the limit of
    six words is refused; a wholly black picture has no value."""

    card: ClassVar[MetricCard] = card("redness", token_limit=6, backbone="eyes")

    def missing(self) -> str | None:
        return None

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        CALLS.append((self.card.name, len(images)))
        return [self._one(image, text, cache) for image, text in zip(images, texts, strict=True)]

    def _one(self, image: Pixels, text: str, cache: Embeddings) -> Score:
        if len(text.split()) > 6:
            raise InvalidRequest(f"text: {len(text.split())} tokens; {self.card.name} reads 6", field="text")
        key = f"eyes/{pixel_hash(image)}"
        colour = cache.get(key)
        if colour is None:
            CALLS.append(("eyes", 1))
            colour = (image.reshape(-1, 3).mean(0) / 255).astype(np.float32)
            cache.put(key, colour)
        total = float(colour.sum())
        value = float(colour[0]) + 0.001 * len(text.split()) if total else float("nan")
        return score_of(self.card, value)


class Greenness(Redness):
    """The same eyes, another judgement."""

    card: ClassVar[MetricCard] = card("greenness", takes="picture", backbone="eyes")

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        assert not texts
        CALLS.append((self.card.name, len(images)))
        return [score_of(self.card, float(image[..., 1].mean()) / 255) for image in images]


class EmojiJudge(Redness):
    """Knows the pocket models' world alone."""

    card: ClassVar[MetricCard] = card("emoji-judge", domain="emoji scenes")


class Absent(Redness):
    """Its weights are never here."""

    card: ClassVar[MetricCard] = card("absent")

    def missing(self) -> str | None:
        return "limner metrics pull absent"


class Spread:
    """Standard deviation of the pictures' means: a metric of sets."""

    card: ClassVar[MetricCard] = card("spread", takes="set")

    def missing(self) -> str | None:
        return None

    def measure(self, images: Sequence[Pixels], reference: Sequence[Pixels], cache: Embeddings) -> Score:
        CALLS.append((self.card.name, len(images)))
        if len(images) < 2:
            raise InvalidRequest("a spread needs two pictures")
        return score_of(self.card, float(np.std([image.mean() for image in images])))


class Looks:
    """Reads people out of colours: green is a woman, red a man, blue old, dark nobody; a wholly black picture has no
    value. Values are cosines' size."""

    card: ClassVar[MetricCard] = card("looks", backbone="eyes")

    def missing(self) -> str | None:
        return None

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        CALLS.append((self.card.name, len(images)))
        return [score_of(self.card, self._one(*pair)) for pair in zip(images, texts, strict=True)]

    def _one(self, image: Pixels, text: str) -> float:
        red, green, blue = image.reshape(-1, 3).mean(0) / 255
        if not image.any():
            return float("nan")
        found = {"woman": green, "man": red, "old person": blue, "young person": 0.2}
        return 0.2 + 0.1 * float(
            next((v for k, v in found.items() if text.endswith(f" {k}")), -float(image.mean() > 9))
        )


ALL = (Redness, Greenness, EmojiJudge, Absent, Spread, Looks)


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-ins under their names, for one test; ``CALLS`` starts empty."""
    CALLS.clear()
    for each in ALL:
        monkeypatch.setitem(registry.BUILT_IN["metrics"], each.card.name, f"{__name__}:{each.__name__}")


def coloured(red: int, green: int = 0, blue: int = 10, side: int = 8) -> Pixels:
    """A picture of one colour."""
    return np.full((side, side, 3), (red, green, blue), np.uint8)
