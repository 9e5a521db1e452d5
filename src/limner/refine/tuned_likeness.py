"""How like its own pictures a subject is drawn: mean cosines (DINO-I and CLIP-I of Ruiz et al. 2022), those held out
told apart from those trained on. A model that learnt its pictures by heart is like the latter alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from limner.evaluate.pixel_embedding import PixelEmbedding
from limner.evaluate.statistics import sign_flip_interval
from limner.image import Image
from limner.refine.arms import Scored
from limner.refine.cards import card_of
from limner.refine.compare_scoring import is_here
from limner.refine.diversity import PIXELS, SUFFIX, shares
from limner.refine.pairs import Scorer
from limner.refine.verdict_words import COSINE
from limner.session import Session
from limner.types import Frozen, Pixels

Group = Literal["held out", "trained on"]
FIDELITY: Final = "fidelity"
TOWERS: Final = ("pocket-clip", "clip-b32", "clip-l14")


@dataclass(frozen=True, slots=True)
class Reference:
    """One of a subject's own pictures (height x width x 3, uint8), with the caption that it had in training."""

    pixels: Pixels
    caption: str


@dataclass(frozen=True, slots=True)
class References:
    """A subject's own pictures, by their files' hashes."""

    trained: Mapping[str, Reference]
    held: Mapping[str, Reference]

    @property
    def judging(self) -> Group:
        """Whose likeness decides: that to pictures which the training never saw, where there are any."""
        return "held out" if self.held else "trained on"

    def groups(self) -> dict[Group, list[Reference]]:
        """Those that there are, the ones that decide first."""
        both: dict[Group, list[Reference]] = {
            "held out": list(self.held.values()),
            "trained on": list(self.trained.values()),
        }
        return {group: found for group, found in both.items() if found}


def counted(pictures: int, group: Group) -> str:
    """``the 3 pictures held out``, ``the 1 picture held out``"""
    return f"the {pictures} picture{'' if pictures == 1 else 's'} {group}"


class Likeness(Frozen):
    """Mean cosines [-1, 1] to a group of ``pictures``, over the seeds, with the gain's interval (``None``: too few
    seeds). Not a verdict: that is the subject's alone."""

    group: Group
    pictures: int
    before: float
    after: float
    low: float | None
    high: float | None

    @property
    def name(self) -> str:
        """``the 3 pictures held out``"""
        return counted(self.pictures, self.group)


class Eye:
    """Sees drawn pictures as a CLIP's tower does, and keeps of each its mean cosine to each group of references: to
    those with the caption that it was drawn from, where the group has any, else to all."""

    def __init__(self, session: Session, tower: str, references: References) -> None:
        self._session, self.tower = session, tower
        self._groups = references.groups()
        self._known = {group: self._unit([each.pixels for each in found]) for group, found in self._groups.items()}
        self.judging: Group = references.judging
        self._found: dict[str, dict[Group, float]] = {}

    def see(self, images: Sequence[Image], pixels: Sequence[Pixels]) -> None:
        """Look at ``pixels``, those of ``images``."""
        seen = self._unit(pixels)
        for image, row in zip(images, seen, strict=True):
            near = {group: float((self._like(group, image.record.prompt) @ row).mean()) for group in self._known}
            self._found[image.record.pixel_hash] = near

    def _like(self, group: Group, prompt: str) -> NDArray[np.float64]:
        """The references [n, D] that a picture of ``prompt`` is laid beside."""
        same = [k for k, each in enumerate(self._groups[group]) if each.caption == prompt]
        return self._known[group][same] if same else self._known[group]

    def values(self, scored: Sequence[Scored], group: Group) -> list[float]:
        """The mean cosine of each picture that was seen."""
        return [self._found[each.pixel_hash][group] for each in scored]

    def of(self, before: Sequence[Scored], after: Sequence[Scored], level: float) -> tuple[Likeness, ...]:
        """By group; pictures pair by their places."""
        return tuple(
            _likeness(group, len(known), self.values(before, group), self.values(after, group), level)
            for group, known in self._known.items()
        )

    def _unit(self, pixels: Sequence[Pixels]) -> NDArray[np.float64]:
        rows = np.asarray(self._session.scoring.embed(list(pixels), self.tower), dtype=np.float64)
        unit: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def own_spread(session: Session, measure: str, references: References, prompts: Collection[str]) -> float | None:
    """How various a subject's own pictures are, by a measure of diversity: those with these captions, else those that
    share one caption, whichever that is, else all. ``None`` for a single picture.

    A subject is meant to be drawn more alike than whatever its name called before: as alike as it is, no more.
    """
    every = [*references.held.values(), *references.trained.values()]
    by_caption: dict[str, list[Reference]] = {}
    for each in every:
        by_caption.setdefault(each.caption, []).append(each)
    same = [each for each in every if each.caption in prompts]
    alike = [found for found in by_caption.values() if len(found) > 1]
    groups = [same] if len(same) > 1 else alike or [every]
    spreads = [_spread(session, measure, found) for found in groups if len(found) > 1]
    return float(np.mean(spreads)) if spreads else None


def _spread(session: Session, measure: str, references: Sequence[Reference]) -> float:
    pixels = [each.pixels for each in references]
    if measure == PIXELS:
        return float(np.mean(shares(measure, PixelEmbedding().embed(pixels, session.scoring.cache))))
    return float(np.mean(shares(measure, list(session.scoring.embed(pixels, measure.removesuffix(SUFFIX))))))


def tower_for(session: Session, world: str | None) -> str | None:
    """The CLIP that is here and knows pictures of a world (``None``: not known); ``None`` where there is none."""
    here = (name for name in TOWERS if is_here(session, name) and session.scoring.can_embed(name))
    return next((name for name in here if card_of(name).domain in ("any", world)), None)


def fidelity_scorer(tower: str, references: References) -> Scorer:
    """What a verdict says of likeness."""
    group, card = references.judging, card_of(tower)
    count = len(references.groups()[group])
    return Scorer(
        name=FIDELITY,
        revision=f"2-{tower}-{card.revision}",
        scale=f"{COSINE} to {counted(count, group)}, by {tower}",
        domain=card.domain,
    )


def _likeness(group: Group, count: int, before: Sequence[float], after: Sequence[float], level: float) -> Likeness:
    low, high = sign_flip_interval(np.asarray(after) - np.asarray(before), level)
    return Likeness(
        group=group,
        pictures=count,
        before=float(np.mean(before)),
        after=float(np.mean(after)),
        low=low if np.isfinite(low) else None,
        high=high if np.isfinite(high) else None,
    )
