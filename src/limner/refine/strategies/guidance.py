"""Other than words: what to keep out of the picture, and how strongly the words steer."""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from limner.errors import InvalidRequest
from limner.refine.strategy import Candidate, Proposals, Task, changed

FACTORS = (1.4, 0.7, 2.0, 0.5)
NEGATIVES = (
    "blurry, distorted",
    "extra objects, clutter",
    "cropped, out of frame",
    "dull, washed out",
)
MOST = 30.0


class Guidance:
    """Tries negative prompts and stronger or weaker guidance."""

    name: ClassVar[str] = "guidance"
    about: ClassVar[str] = "a negative prompt, and stronger or weaker guidance; your words stay as they are"
    chooses: ClassVar[Literal["prompt", "seed"]] = "prompt"

    def propose(self, task: Task, rng: Random) -> Proposals:
        yield from ()
        found = [*_steered(task), *_kept_out(task)]
        if not found:
            raise InvalidRequest("this model has no guidance and takes no negative prompt", field="strategy")
        rng.shuffle(found)
        return found


def _steered(task: Task) -> list[Candidate]:
    own = task.guidance
    if own is None or own <= 1:  # distilled: it was trained without
        return []
    levels = [round(own * factor, 2) for factor in FACTORS]
    return [
        Candidate(
            request=changed(task.request, guidance=level),
            edit=f"guidance {level:g} instead of {own:g}",
            reason="the words steer more strongly" if level > own else "the words steer more gently",
        )
        for level in levels
        if 1 < level <= MOST
    ]


def _kept_out(task: Task) -> list[Candidate]:
    if not task.negative or (task.guidance is not None and task.guidance <= 1):
        return []
    own = task.request.negative or ""
    return [
        Candidate(
            request=changed(task.request, negative=f"{own}, {words}" if own else words),
            edit=f"kept out “{words}”",
            reason="a negative prompt steers away from it",
        )
        for words in NEGATIVES
    ]
