"""What a refinement is, fixed and stored before the first picture: budget, seeds, scorers, pairs, margins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import floor
from typing import Self

from pydantic import Field

from limner.canonical import content_hash
from limner.errors import InvalidRequest
from limner.evaluate.statistics import ALPHA, least_pairs
from limner.refine.halving import FEWEST, Rung, affordable, ladder, pictures
from limner.refine.power import WORTHWHILE
from limner.refine.verdict import LEAST_PAIRS, MARGIN
from limner.types import MAX_IMAGES, MAX_SEED, Frozen, Request

SEARCH_SHARE = 0.6
TWO_FINALISTS_FROM = 20
"""Pairs for each, below which one finalist is judged alone."""
MOST_PAIRS = 100
APART = 100_000
LARGEST_SEED = MAX_SEED - APART - MAX_IMAGES
"""Verdict seeds begin so far after the search's, which are fewer."""
DEFAULT_BUDGET = "160images"
_BUDGET = re.compile(
    r"\s*(\d+(?:\.\d+)?)\s*(images?|pictures?|s|sec|seconds|m|min|minutes|h|hours?)?\s*", re.IGNORECASE
)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Budget(Frozen):
    """How much may be drawn: in pictures, or in seconds."""

    images: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``"160images"``, ``"160"``, ``"600s"``, ``"10min"``. Raises ``InvalidRequest``."""
        match = _BUDGET.fullmatch(text)
        amount = float(match[1]) if match else 0.0
        if match is None or amount <= 0 or amount > 1e7:
            raise InvalidRequest(
                f"budget: {text!r} is no budget", field="budget", hint="for example 160images, 600s or 10min"
            )
        unit = (match[2] or "images").lower()
        if unit[0] in "ip":
            if amount != int(amount):
                raise InvalidRequest(f"budget: {text!r} is no whole number of pictures", field="budget")
            return cls(images=int(amount))
        return cls(seconds=amount * _SECONDS[unit[0]])

    def text(self) -> str:
        return f"{self.images} pictures" if self.images is not None else f"{self.seconds:g} s"


class Design(Frozen):
    """A refinement as it will be carried out. ``words`` are what every picture is scored against: the user's own.

    ``images`` is the budget in pictures. ``rungs`` is the search's ladder; ``pairs`` are drawn of the user's prompt and
    each finalist for the verdict, from seeds that the search never draws. ``floor`` is the search scorer of alignment;
    ``alignment`` and ``diversity`` are the verdict's guards. ``llm`` and ``expander`` name language models.
    ``identity`` is that of the user's own pictures: a run is gone on with only where they would still be the same.
    """

    request: Request
    words: str
    strategies: tuple[str, ...]
    search: tuple[str, ...] = Field(min_length=1)
    judges: tuple[str, ...] = ()
    floor: str | None = None
    alignment: str | None = None
    diversity: str | None = None
    caps: tuple[str, ...] = ()
    budget: Budget
    images: int
    rungs: tuple[Rung, ...]
    pairs: int
    finalists: int
    seed: int
    margin: float = MARGIN
    diversity_margin: float | None = None
    worthwhile: float = WORTHWHILE
    alpha: float = ALPHA
    interactive: bool = False
    identity: str = ""
    llm: str = ""
    llm_model: str = ""
    expander: str = ""

    @property
    def verdict_seed(self) -> int:
        return self.seed + APART

    @property
    def search_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seed, self.seed + self.rungs[-1].seeds))

    @property
    def verdict_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.verdict_seed, self.verdict_seed + self.pairs))

    @property
    def slots(self) -> int:
        """Candidates at the start."""
        return self.rungs[0].candidates

    @property
    def search_pictures(self) -> int:
        return pictures(self.rungs)

    @property
    def verdict_pictures(self) -> int:
        return (1 + self.finalists) * self.pairs


def divided(images: int, judges: int, *, alpha: float = ALPHA) -> tuple[tuple[Rung, ...], int, int]:
    """(rungs of the search, pairs of the verdict, finalists) for so many pictures; the verdict's share comes first.

    Raises ``InvalidRequest`` where they are too few for a verdict.
    """
    least = max(LEAST_PAIRS, least_pairs(alpha, judges))
    smallest = pictures(ladder(FEWEST)) + 2 * least
    if images < smallest:
        raise InvalidRequest(
            f"a budget of {images} pictures is too small for a verdict: {2 * least} for {least} pairs, and "
            f"{smallest - 2 * least} to search in, are the least",
            field="budget",
            hint=f"give at least --budget {smallest}images; 160 finds a difference of about 1 SD",
        )
    search = min(floor(SEARCH_SHARE * images), images - 2 * least)
    rungs = affordable(search)
    left = images - pictures(rungs)
    finalists = 2 if left // 3 >= max(TWO_FINALISTS_FROM, least_pairs(alpha, 2 * judges)) else 1
    return rungs, min(left // (1 + finalists), MOST_PAIRS), finalists


def images_of(budget: Budget, seconds_per_image: float | None) -> int:
    """The pictures that a budget pays for. Raises ``InvalidRequest`` where seconds cannot be turned into pictures."""
    if budget.images is not None:
        return budget.images
    if seconds_per_image is None or seconds_per_image <= 0:
        raise InvalidRequest(
            "how long a picture takes here is not known yet, so a budget in seconds cannot be divided",
            field="budget",
            hint="draw one picture first, or give the budget in pictures: --budget 160images",
        )
    assert budget.seconds is not None
    return int(budget.seconds / seconds_per_image)


def seed_of(request: Request, words: str, parts: Sequence[object]) -> int:
    """The search's first seed where none is given: a hash of what is refined, so that nobody chose it and a rerun
    finds the pictures of the first run."""
    said = request.model_dump(mode="json", exclude_unset=True, exclude={"seed", "n"})
    return int(content_hash([said, words, list(parts)]).removeprefix("sha256:")[:8], 16) % (2**32 - APART - MAX_IMAGES)
