"""How much an arm's pictures differ from each other: the guard against a rewrite that always gives the same picture.

Pictures are compared as a scorer's tower sees them, where one is at hand: snow behind every fox changes most pixels and
few foxes. Without one their small pixels are compared, and the name says so.

An arm's diversity is the mean distance over all pairs of its pictures (a U-statistic), and each picture is in many
pairs. The plain mean distance of a picture to the others is therefore no independent value: a paired test on those
takes noise for loss, in one of seven comparisons of equals. What is tested are the jackknife's pseudo-values (Arvesen
1969), which have the same mean and about the right scatter. ``benchmarks/verdicts.py`` shows both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from limner.errors import InvalidRequest
from limner.evaluate.metric import Embedding
from limner.evaluate.pixel_embedding import PixelEmbedding
from limner.evaluate.vendi import mean_distances
from limner.image import Image
from limner.refine.cards import card_of
from limner.refine.pairs import Scorer
from limner.session import Session

SUFFIX = "-spread"
PIXELS = f"pixel{SUFFIX}"
AUTO = "auto"
"""Whichever of a comparison's scorers can compare pictures; else their pixels."""
SCALE = "share in the mean distance between the arm's pictures"


def measure_of(session: Session, scorers: Sequence[str]) -> str:
    """The measure of diversity that one of these scorers offers, the first first; else that of pixels.

    Raises ``UnknownName``."""
    able = (name for name in scorers if session.scoring.can_embed(name))
    return next((f"{name}{SUFFIX}" for name in able), PIXELS)


def named(session: Session, said: str, scorers: Sequence[str]) -> str:
    """The measure that a caller named, or the best there is for ``auto``. Raises ``InvalidRequest``."""
    if said == AUTO:
        return measure_of(session, scorers)
    if said == PIXELS or (said.endswith(SUFFIX) and session.scoring.can_embed(said.removesuffix(SUFFIX))):
        return said
    raise InvalidRequest(
        f"diversity: {said!r} is no measure that is here", field="diversity", hint=f"for example {PIXELS}, or {AUTO}"
    )


def is_measure(name: str) -> bool:
    """True for the name of a measure of diversity, which is no metric's."""
    return name.endswith(SUFFIX)


def scorer(name: str) -> Scorer:
    """What a verdict says of a measure. Raises ``UnknownName``."""
    if name == PIXELS:
        return Scorer(
            name=name,
            revision=f"2-{PixelEmbedding.name}",
            scale=f"{SCALE}: RMS of small pixels, 0 to 1, blind to meaning",
        )
    card = card_of(name.removesuffix(SUFFIX))
    return Scorer(
        name=name,
        revision=f"2-{card.revision}",
        scale=f"{SCALE}: cosine distance as {card.name} sees, 0 to 2",
        domain=card.domain,
    )


def vectors(session: Session, name: str, images: Sequence[Image]) -> list[Embedding]:
    """Pictures as vectors [D] that a measure compares; those of a scorer are computed once and kept."""
    pixels = [image.pixels for image in images]
    if name == PIXELS:
        return PixelEmbedding().embed(pixels, session.scoring.cache)
    return list(session.scoring.embed(pixels, name.removesuffix(SUFFIX)))


def shares(name: str, embeddings: Sequence[ArrayLike] | NDArray[np.float64]) -> list[float]:
    """Each picture's share in its arm's diversity, by vectors of that measure: their mean is the mean distance over all
    pairs. 0 for a lone one. One alone may be below zero; of two pictures both are their distance.
    """
    if len(embeddings) < 2:
        return [0.0] * len(embeddings)
    distances = _rms(embeddings) if name == PIXELS else mean_distances(list(embeddings))
    return [float(value) for value in pseudo_values(distances)]


def _rms(embeddings: Sequence[ArrayLike] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Each picture's mean distance [n] to the others, as the root mean square over pixels.

    Not by the cosine: that would take a rewrite which makes all pictures brighter for one that makes them more alike.
    """
    rows = np.asarray(embeddings, dtype=np.float64)
    sums = [np.sqrt(np.square(rows - row).mean(axis=1)).sum() for row in rows]
    return np.asarray(sums) / (len(rows) - 1)


def pseudo_values(distances: ArrayLike) -> NDArray[np.float64]:
    """The jackknife's pseudo-values [n] of the mean distance over pairs, of each one's mean distance [n] to the others:
    n times the mean of all, less n - 1 times that without the one. Of two: the distances themselves."""
    d = np.asarray(distances, dtype=np.float64)
    n = len(d)
    if n < 3:
        return d
    values: NDArray[np.float64] = (2 * (n - 1) * d - n * d.mean()) / (n - 2)
    return values
