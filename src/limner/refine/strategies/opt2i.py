"""A language model sees what was tried and how it scored, and proposes what to try next.

After OPT2I (Mañas et al. 2024, "Improving Text-to-Image Consistency via Automatic Prompt Optimization"), with the
search's scorers in place of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal

from limner.errors import InvalidRequest, ModelError
from limner.refine.arms import Scored, Trial
from limner.refine.nonsense import usable
from limner.refine.strategy import USER, Candidate, Probe, Proposals, Task, changed

A_ROUND = 5
SHOWN = 8
"""Prompts of the history that the model sees: the best ones."""
PATIENCE = 2
"""Rounds in a row without one usable rewrite, after which it is over."""
INSTRUCTIONS = (
    "You improve prompts of a text-to-image model. The picture must show what the user asked for: {words!r}.\n"
    "Prompts tried so far, each with the scores of its pictures against the user's words (more is better):\n{history}\n"
    "Write {count} new prompts that would score higher: reorder, stress what is forgotten, be concrete, add nothing "
    "that contradicts the user. One prompt a line, no numbers, no comments."
)


@dataclass(frozen=True, slots=True)
class Tried:
    """A prompt of the history with its mean by each scorer; ``standing`` is 1 for the best of them."""

    prompt: str
    means: dict[str, float]

    def line(self) -> str:
        said = ", ".join(f"{metric} {value:.4g}" for metric, value in self.means.items()) or "no score"
        return f"- {self.prompt} [{said}]"


class Opt2i:
    """Asks the language model that the user named (--llm) in rounds, showing it the scores so far."""

    name: ClassVar[str] = "opt2i"
    about: ClassVar[str] = "a language model (--llm) proposes, sees the scores, and proposes again"
    chooses: ClassVar[Literal["prompt", "seed"]] = "prompt"

    def propose(self, task: Task, rng: Random) -> Proposals:
        if task.write is None:
            raise InvalidRequest(
                "the strategy opt2i asks a language model, and none is named",
                field="llm",
                hint="--llm URL of an OpenAI-compatible server, or --llm of a model folder or hub repo",
            )
        tried = [Tried(task.request.prompt, (yield from _means(task, task.request.prompt)))]
        found: list[Candidate] = []
        idle = 0
        while len(found) < task.slots and idle < PATIENCE:
            texts = self._round(task, tried, min(A_ROUND, task.slots - len(found)))
            idle = 0 if texts else idle + 1
            for text in texts:
                found.append(_candidate(task, text, tried))
                tried.append(Tried(text, (yield from _means(task, text))))
        if not found:
            raise InvalidRequest("the language model proposed nothing that can be drawn", field="llm")
        return found

    def _round(self, task: Task, tried: Sequence[Tried], count: int) -> list[str]:
        """New prompts, none of them tried. What cannot be used is told."""
        assert task.write is not None
        best = _best_first(tried)[:SHOWN]
        history = "\n".join(each.line() for each in best)
        try:
            answer = task.write(INSTRUCTIONS.format(words=task.words, history=history, count=count))
        except ModelError as error:
            task.warn(f"language model: {error.message}")
            return []
        known = {each.prompt.casefold() for each in tried}
        lines = [line for line in answer.splitlines() if line.strip()] or [""]
        texts = [text for line in lines if (text := usable(line, task.words, task.warn)) is not None]
        fresh = [text for text in dict.fromkeys(texts) if text.casefold() not in known]
        return [text for text in fresh if _can_draw(task, text)][:count]


def _means(task: Task, prompt: str) -> Generator[Probe, Sequence[Scored], dict[str, float]]:
    request = changed(task.request, prompt=prompt)
    scored = yield Probe(trials=tuple(Trial(request=request, seed=seed) for seed in task.seeds))
    means = {metric: task.mean(scored, metric) for metric in task.scorers}
    return {metric: value for metric, value in means.items() if value is not None}


def _can_draw(task: Task, text: str) -> bool:
    why = task.refused(changed(task.request, prompt=text))
    if why is not None:
        task.warn(f"language model: {text!r:.60}: {why}")
    return why is None


def _best_first(tried: Sequence[Tried]) -> list[Tried]:
    from limner.evaluate.statistics import mean_ranks

    common = [metric for metric in tried[0].means if all(metric in each.means for each in tried)]
    if not common:
        return list(tried)
    ranks = mean_ranks([[each.means[metric] for each in tried] for metric in common])
    return [tried[k] for k in sorted(range(len(tried)), key=lambda k: -ranks[k])]


def _candidate(task: Task, text: str, tried: Sequence[Tried]) -> Candidate:
    return Candidate(
        request=changed(task.request, prompt=text),
        parent=USER,
        edit=f"rewritten: “{text}”",
        reason=f"the language model's, having seen {len(tried)} prompts and their scores",
    )
