"""The classifier's own error, measured on a folder of pictures whose answers are known, and taken out of the shares."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from limner.errors import InvalidRequest
from limner.types import Frozen

LEAST_USE = 0.2  # right answers minus wrong ones: below, a classifier is too close to guessing to be corrected for
Z = 1.959964


class Confusion(Frozen):
    """How often pictures of each true class were called what: ``called[true][answer]`` pictures."""

    classes: tuple[str, str]
    called: Mapping[str, Mapping[str, int]] = Field(default_factory=dict)

    @classmethod
    def of(cls, classes: tuple[str, str], answers: Mapping[str, Sequence[str]]) -> Confusion:
        """Of answers by true class. Raises ``InvalidRequest`` where a class has no picture that was clear."""
        called = {true: dict(Counter(answers.get(true, ()))) for true in classes}
        found = cls(classes=classes, called=called)
        for true in classes:
            if not found.clear(true):
                raise InvalidRequest(
                    f"no picture of {true} was read as anything", hint="at least 30 pictures of each class"
                )
        return found

    def clear(self, true: str) -> int:
        """Pictures of a class that got one of the two answers."""
        return sum(self.called[true].get(name, 0) for name in self.classes)

    def rate(self, true: str) -> float:
        """Among the clear pictures of a class, the share that was called the first class."""
        return self.called[true].get(self.classes[0], 0) / self.clear(true)

    @property
    def usable(self) -> bool:
        """False where the classifier is too close to guessing."""
        return self.rate(self.classes[0]) - self.rate(self.classes[1]) >= LEAST_USE

    def wrong(self, true: str) -> tuple[float, float, float]:
        """The share of a class's clear pictures that was called the other, with its 95 % interval (Wilson 1927)."""
        n = self.clear(true)
        right = self.called[true].get(true, 0)
        return (n - right) / n, *wilson(n - right, n)

    def drawn(self, draws: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Plausible rates of both classes, ``draws`` of each: Jeffreys' posterior of what was seen."""
        first, second = (
            rng.beta(
                0.5 + self.called[true].get(self.classes[0], 0),
                0.5 + self.clear(true) - self.called[true].get(self.classes[0], 0),
                draws,
            )
            for true in self.classes
        )
        return first, second


def corrected(
    shares: NDArray[np.float64], first: NDArray[np.float64] | float, second: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Shares of the first class as they would be without the error (Rogan and Gladen 1978): ``first`` and ``second``
    are how often each class is called the first. Kept within 0 and 1."""
    use = np.maximum(np.asarray(first) - np.asarray(second), LEAST_USE / 2)
    found: NDArray[np.float64] = np.clip((shares - second) / use, 0.0, 1.0)
    return found


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); 0 to 1 where there is none to go by."""
    if n == 0:
        return 0.0, 1.0
    p, z2 = hits / n, Z * Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
