"""Asking a metric, and what its answer may be: a finite number, or an error in our words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydantic import ValidationError

from limner.engine.ticket import PATIENCE
from limner.errors import GenerationError, LimnerError, NonFinite
from limner.evaluate.cache import ScoreCache
from limner.evaluate.metric import Metric, MetricCard
from limner.types import Score

if TYPE_CHECKING:
    from limner.types import Pixels

T = TypeVar("T")


class Piece(NamedTuple):
    """A picture in memory, with its words."""

    pixels: Pixels
    text: str


def answer(future: Future[T]) -> T:
    """A Future's answer; Ctrl-C is heard on every system, and takes back what has not begun."""
    try:
        while True:
            try:
                return future.result(timeout=PATIENCE)
            except NotYet:
                if future.done():
                    raise  # the work's own
    except KeyboardInterrupt:
        future.cancel()
        raise


def asked(metric: Metric, pieces: Sequence[Piece], cache: ScoreCache) -> Sequence[Score]:
    """What a metric says of pictures. Raises what it does, ``GenerationError`` where it answers too few or many."""
    words = [piece.text for piece in pieces] if metric.card.takes == "picture and text" else []
    scores = metric.score([piece.pixels for piece in pieces], words, cache)
    if len(scores) != len(pieces):
        raise GenerationError(f"{metric.card.name} gave {len(scores)} scores for {len(pieces)} pictures")
    return scores


def finite(score: Score, card: MetricCard, name: str) -> Score:
    """The score itself. Raises ``NonFinite``."""
    if not math.isfinite(score.value):
        raise NonFinite(
            f"{card.name} gave {score.value} for {name}", hint="the other scores are kept; limner inspect it"
        )
    return score


def worded(error: Exception, card: MetricCard, name: str) -> LimnerError:
    """An error of one picture, in our words."""
    if isinstance(error, LimnerError):
        return error
    if isinstance(error, ValidationError) and any(each["type"] == "finite_number" for each in error.errors()):
        return NonFinite(f"{card.name} gave no finite number for {name}", hint="the other scores are kept")
    ours = GenerationError(f"{card.name} could not score {name}: {error}", hint="the other scores are kept")
    ours.__cause__ = error
    return ours


def flagged(score: Score, flags: Sequence[str]) -> Score:
    """The score with more that weakens it."""
    return score.model_copy(update={"flags": (*score.flags, *flags)}) if flags else score
