"""Random paraphrase: the same words in another order or frame. The baseline that every other strategy has to beat."""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from limner.refine.operators import FRAMES, framed, reordered, swapped
from limner.refine.strategy import PARAPHRASE, Candidate, Proposals, Task, changed


class Paraphrase:
    """Rewords by rules, at random; needs no scores."""

    name: ClassVar[str] = PARAPHRASE
    about: ClassVar[str] = "the same in other words, at random: the baseline, always among the candidates"
    chooses: ClassVar[Literal["prompt", "seed"]] = "prompt"

    def propose(self, task: Task, rng: Random) -> Proposals:
        yield from ()
        ways = _ways(task)
        rng.shuffle(ways)
        reason = "random rewording: what the other rewrites have to beat"
        return [
            Candidate(request=changed(task.request, prompt=text), edit=f"said as “{text}”", reason=reason)
            for text in ways
        ]


def _ways(task: Task) -> list[str]:
    """Other ways to say it, none twice. A prompt with weights keeps them: it is only framed."""
    prompt = task.request.prompt
    framed_ones = [framed(text, frame) for text in (prompt, *_plain_swaps(task)) for frame in FRAMES]
    moved = [] if _is_marked(task) else reordered(prompt, task.atoms)
    found = dict.fromkeys([*framed_ones, *moved])
    return [text for text in found if text != prompt]


def _plain_swaps(task: Task) -> list[str]:
    return [] if _is_marked(task) else swapped(task.request.prompt)


def _is_marked(task: Task) -> bool:
    return task.request.prompt.strip() != task.words
