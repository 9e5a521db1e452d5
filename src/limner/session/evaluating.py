"""Pictures measured by any metrics at once: a score a picture, a score of the set, and means with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from limner.errors import InvalidRequest, LimnerError
from limner.evaluate.statistics import ALPHA, sign_flip_interval
from limner.session.composer import Session
from limner.session.scoring import Failures
from limner.session.scoring_subjects import Scorable
from limner.session.shared import _shared
from limner.types import Score


class Mean(NamedTuple):
    """The mean of a metric over pictures and its 95 % interval, ``None`` where ``n`` pictures are too few to bound it.

    The interval takes the pictures for independent ones: seeds of one prompt, or one picture of each of many prompts.
    """

    metric: str
    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Evaluation:
    """What metrics say of pictures. ``scores`` has a row a picture, in order, by metric; ``of_set`` what metrics say of
    all pictures together; ``failures`` why a picture has no score, by its place (from 0) and the metric."""

    scores: tuple[Mapping[str, Score], ...]
    of_set: Mapping[str, Score]
    failures: Mapping[tuple[int, str], LimnerError]

    def values(self, metric: str) -> list[float | None]:
        """A value a picture, ``None`` for those without one."""
        return [None if (score := row.get(metric)) is None else score.value for row in self.scores]

    def means(self) -> list[Mean]:
        """A Mean for each metric of single pictures that valued any, in the metrics' order."""
        names = dict.fromkeys(name for row in self.scores for name in row)
        return [_mean(name, [value for value in self.values(name) if value is not None]) for name in names]


def evaluate(
    images: Sequence[Scorable],
    texts: str | Sequence[str] | None,
    metrics: Sequence[str],
    *,
    reference: Sequence[Scorable] = (),
    force: bool = False,
    session: Session | None = None,
) -> Evaluation:
    """Measure pictures (pixels, Images, paths, library ids) against texts by metrics of registered names, of single
    pictures and of sets alike: ``limner.evaluate(pictures, "a red fox", ["pocket-clip", "vendi"])``.

    ``texts``: one a picture, one for all, or ``None`` for each picture's own words. ``reference`` are the pictures that
    metrics of sets compare with. A picture that a metric cannot value is told in ``failures`` and leaves the others.
    Raises as ``Session.score`` and ``Session.measure``.
    """
    here = session if session is not None else _shared()
    names = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    if not names:
        raise InvalidRequest("metrics: none is named", field="metrics", hint="for example pocket-clip (limner metrics)")
    sets = [name for name in names if here.scoring.metric(name).card.takes == "set"]
    alone = [name for name in names if name not in sets]
    failures: Failures = {}
    rows = here.score(images, texts, alone, force=force, failures=failures) if alone else [[] for _ in images]
    scores = tuple({score.scorer: score for score in row} for row in rows)
    of_set = {name: here.measure(images, name, reference=reference, force=force) for name in sets}
    return Evaluation(scores, of_set, failures)


def _mean(name: str, values: Sequence[float]) -> Mean:
    low, high = sign_flip_interval(values, ALPHA)
    bounds = [end if math.isfinite(end) else None for end in (low, high)]
    return Mean(name, fmean(values), bounds[0], bounds[1], len(values))
