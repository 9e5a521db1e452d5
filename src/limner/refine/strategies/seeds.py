"""Best of n: the user's own words at many seeds, and the pictures that the scorers like best.

Successive halving here is over steps: all seeds are drawn with few steps, which show the composition, and the better
part with all of them. What is found is a picture. A chosen seed says nothing of a prompt, so there is no verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar, Literal

from limner.errors import InvalidRequest
from limner.evaluate.statistics import mean_ranks
from limner.refine.arms import Scored, Trial
from limner.refine.asking import Ask, Asking, World
from limner.refine.design import Design
from limner.refine.strategy import Proposals, Task, changed

FEW_STEPS = 0.4
KEPT = 0.25
LEAST_STEPS = 8
"""Fewer full steps than that are not worth halving."""


class Seeds:
    """Chooses a seed. Proposes no prompt."""

    name: ClassVar[str] = "seeds"
    about: ClassVar[str] = "your own words at many seeds, the best pictures kept; no verdict on a prompt"
    chooses: ClassVar[Literal["prompt", "seed"]] = "seed"

    def propose(self, task: Task, rng: Random) -> Proposals:
        yield from ()
        raise InvalidRequest("the strategy seeds chooses pictures, and proposes no prompt", field="strategy")


def best_of(design: Design, images: int, steps: int | None, world: World) -> Asking[list[Scored]]:
    """The pictures of the user's words, best first by the mean rank of the search scorers; ``images`` are drawn.

    ``steps`` are the Request's. Where they are many, three fifths of the pictures are drawn with few steps, and only
    the seeds of the best quarter of these with all.
    """
    if steps is None or steps < LEAST_STEPS or images < 8:
        found = yield from _scored(design, range(images), design)
        return _best_first(found, design, world)
    first = int(images / (1 + KEPT))
    few = design.model_copy(update={"request": changed(design.request, steps=max(1, round(FEW_STEPS * steps)))})
    world.tell(f"{first} seeds with {few.request.steps} of {steps} steps")
    sketches = _best_first((yield from _scored(design, range(first), few)), design, world)
    chosen = [each.trial.seed - design.seed for each in sketches[: max(1, images - first)]]
    world.tell(f"the best {len(chosen)} of them with all steps")
    found = yield from _scored(design, sorted(chosen), design)
    return _best_first(found, design, world)


def _scored(design: Design, places: Sequence[int], drawn: Design) -> Asking[Sequence[Scored]]:
    trials = tuple(Trial(request=drawn.request, seed=design.seed + place) for place in places)
    return (yield Ask(trials, design.search, design.words, why="seeds"))


def _best_first(found: Sequence[Scored], design: Design, world: World) -> list[Scored]:
    """By mean rank of the scorers; blank and clipped pictures, and those without a value, come last."""
    whole = [each for each in found if all(each.value(metric) is not None for metric in design.search)]
    if not whole:
        return list(found)
    table = [[world.sign(metric) * float(each.value(metric) or 0.0) for each in whole] for metric in design.search]
    ranks = mean_ranks(table)
    order = sorted(range(len(whole)), key=lambda k: (bool(whole[k].faults), -ranks[k], k))
    return [*(whole[k] for k in order), *(each for each in found if each not in whole)]
