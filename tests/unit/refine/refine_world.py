"""A small world to refine in: the Painter's pictures, scorers of their colours, and strategies made for tests."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar, Literal

import pytest

from limner import registry
from limner.evaluate.metric import Embeddings, MetricCard
from limner.refine.strategy import Candidate, Proposals, Task, changed
from limner.types import Pixels, Score
from tests.standins import card, score_of

SEARCHER, JUDGE, SISTER, BROKEN, FOREIGN = "reds", "warmth", "reds-too", "broken", "foreign"


class Reds:
    """Mean red, 0 to 1; sees the words and takes no notice of them."""

    card: ClassVar[MetricCard] = card(SEARCHER, backbone="left eye")

    def missing(self) -> str | None:
        return None

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        return [score_of(self.card, float(image[..., 0].mean()) / 255) for image in images]


class Warmth(Reds):
    """Red over blue."""

    card: ClassVar[MetricCard] = card(JUDGE, takes="picture", backbone="right eye")

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        return [score_of(self.card, float(image[..., 0].mean() - image[..., 2].mean()) / 255) for image in images]


class RedsToo(Reds):
    card: ClassVar[MetricCard] = card(SISTER, backbone="left eye")


class Broken(Reds):
    """Has no value for any picture."""

    card: ClassVar[MetricCard] = card(BROKEN, backbone="third eye")

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        return [score_of(self.card, float("nan")) for _ in images]


class Foreign(Reds):
    card: ClassVar[MetricCard] = card(FOREIGN, domain="photographs and art", backbone="other eye")


class Redder:
    """Says "red" once more, twice more ..."""

    name: ClassVar[str] = "redder"
    about: ClassVar[str] = "more red"
    chooses: ClassVar[Literal["prompt", "seed"]] = "prompt"

    def propose(self, task: Task, rng: Random) -> Proposals:
        yield from ()
        return [
            Candidate(request=changed(task.request, prompt=f"{'red ' * k}{task.request.prompt}"), edit=f"red {k} times")
            for k in range(1, task.slots + 1)
        ]


class Same(Redder):
    """Proposes the user's own words."""

    name: ClassVar[str] = "same"

    def propose(self, task: Task, rng: Random) -> Proposals:
        yield from ()
        return [Candidate(request=task.request, edit="nothing")] * task.slots


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scorers and strategies under their names, for one test."""
    for metric in (Reds, Warmth, RedsToo, Broken, Foreign):
        monkeypatch.setitem(registry.BUILT_IN["metrics"], metric.card.name, f"{__name__}:{metric.__name__}")
    for strategy in (Redder, Same):
        monkeypatch.setitem(registry.BUILT_IN["strategies"], strategy.name, f"{__name__}:{strategy.__name__}")
