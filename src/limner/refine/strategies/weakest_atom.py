"""Divide, evaluate, refine: find the phrase that the user's own pictures honour least, and say that one louder.

After Singh and Zheng 2023, "Divide, Evaluate, and Refine" (NeurIPS), with rules for the dividing. Which phrase is
weakest is guessed from scores against each phrase alone; scores of different texts compare only roughly, so the guess
decides where rewrites are tried and nothing else: each is compared against the user's whole text like all others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import ClassVar, Literal

from limner.errors import InvalidRequest
from limner.evaluate.statistics import mean_ranks
from limner.refine.arms import Scored, Trial
from limner.refine.atoms import Atom
from limner.refine.operators import STRENGTHS, emphasised, said_again, said_first
from limner.refine.strategy import Candidate, Probe, Proposals, Task, changed

Edit = tuple[str, Callable[[str, Atom], str]]


class WeakestAtom:
    """Strengthens the weakest phrase, says it first, or says it again; then the next weakest."""

    name: ClassVar[str] = "weakest-atom"
    about: ClassVar[str] = "the phrase that your pictures honour least: stressed, said first, or said again"
    chooses: ClassVar[Literal["prompt", "seed"]] = "prompt"

    def propose(self, task: Task, rng: Random) -> Proposals:
        if len(task.atoms) < 2:
            raise InvalidRequest("there is only one phrase, and none of it is the weakest", field="strategy")
        if task.request.prompt.strip() != task.words:
            raise InvalidRequest("the prompt has weights of its own, which it leaves alone", field="strategy")
        order = yield from _weakest_first(task)
        edits = _edits(task)
        # Every edit of the weakest phrase before the next phrase, and so on.
        pairs = [(atom, edit) for atom in order for edit in edits if not _idle(atom, edit[0])]
        return [_candidate(task, atom, edit, order) for atom, edit in pairs]


def _weakest_first(task: Task) -> Generator[Probe, Sequence[Scored], list[Atom]]:
    """The phrases by mean rank of their scores on the user's own pictures, lowest first."""
    trials = tuple(Trial(request=task.request, seed=seed) for seed in task.seeds)
    columns: list[dict[str, float]] = []
    for atom in task.atoms:
        scored = yield Probe(trials=trials, words=atom.text)
        values = {metric: task.mean(scored, metric) for metric in task.scorers}
        columns.append({metric: value for metric, value in values.items() if value is not None})
    common = [metric for metric in task.scorers if all(metric in column for column in columns)]
    if not common:
        task.warn("no scorer could value the phrases one by one; they are tried from the last to the first")
        return list(reversed(task.atoms))
    ranks = mean_ranks([[column[metric] for column in columns] for metric in common])
    return [task.atoms[k] for k in sorted(range(len(ranks)), key=lambda k: (ranks[k], -k))]


def _edits(task: Task) -> list[Edit]:
    gentle, strong = STRENGTHS
    stressed: list[Edit] = [
        (f"stressed “{{}}” ({weight:g})", lambda text, atom, w=weight: emphasised(text, atom, w))  # type: ignore[misc]
        for weight in (gentle, strong)
        if task.emphasis
    ]
    placed: list[Edit] = [("said “{}” first", said_first), ("said “{}” again", said_again)]
    return [*stressed[:1], *placed, *stressed[1:]]


def _idle(atom: Atom, edit: str) -> bool:
    return atom.start == 0 and "first" in edit


def _candidate(task: Task, atom: Atom, edit: Edit, order: Sequence[Atom]) -> Candidate:
    what, apply = edit
    place = "is honoured least" if atom is order[0] else f"is number {order.index(atom) + 1} from the weakest"
    return Candidate(
        request=changed(task.request, prompt=apply(task.words, atom)),
        edit=what.format(atom.text),
        reason=f"of your phrases, “{atom.text}” {place} in your own pictures",
    )
