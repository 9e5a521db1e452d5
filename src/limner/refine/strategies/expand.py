"""More words: detail and light by rules, styles from the presets, and prompts that a language model writes on.

Models such as MagicPrompt (GPT-2, trained on prompts people share) go on writing where a prompt ends; Promptist (Hao et
al. 2023) rewrites it. Either is a causal language model from the hub that the user names.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import ClassVar, Literal

from limner.errors import ModelError
from limner.refine.nonsense import usable
from limner.refine.operators import appended
from limner.refine.strategy import Candidate, Proposals, Task, changed

DETAILS = (
    "highly detailed",
    "centred, clear and simple",
    "soft light",
    "vivid colours",
    "sharp focus",
    "seen from close by",
    "seen from afar",
    "plain background",
)
TRIES = 2
"""Continuations asked for, for each one wanted."""


class Expand:
    """Adds detail, a style, or what a model that was trained on prompts would add."""

    name: ClassVar[str] = "expand"
    about: ClassVar[str] = "more words: detail, light, a style; or what a prompt-writing model adds (--expander)"
    chooses: ClassVar[Literal["prompt", "seed"]] = "prompt"

    def propose(self, task: Task, rng: Random) -> Proposals:
        yield from ()
        written = list(islice(_written(task), task.slots))
        details, styles = list(_detailed(task)), list(_styled(task))
        rng.shuffle(details)
        rng.shuffle(styles)
        by_rule = [each for pair in zip(details, [*styles, *[None] * len(details)], strict=False) for each in pair]
        return [*written, *(each for each in by_rule if each is not None)]


def _detailed(task: Task) -> Iterator[Candidate]:
    for detail in DETAILS:
        if detail not in task.words.lower():
            prompt = appended(task.request.prompt, detail)
            yield Candidate(
                request=changed(task.request, prompt=prompt),
                edit=f"added “{detail}”",
                reason="your words leave it open",
            )


def _styled(task: Task) -> Iterator[Candidate]:
    for name, style in task.styles.items():
        if name not in task.request.styles:
            yield Candidate(
                request=changed(task.request, styles=(*task.request.styles, name)),
                edit=f"style {name}",
                reason=style.description or "your words name no style",
            )


def _written(task: Task) -> Iterator[Candidate]:
    """What the named model writes on; its nonsense is told and left out."""
    if task.continue_ is None:
        return
    for _ in range(TRIES * task.slots):
        try:
            text = task.continue_(task.request.prompt)
        except ModelError as error:
            task.warn(f"the prompt-writing model stopped: {error.message}")
            return
        if (found := usable(text, task.request.prompt, task.warn)) is not None:
            yield Candidate(
                request=changed(task.request, prompt=found), edit=f"written on: “{found}”", reason="as prompts go on"
            )
