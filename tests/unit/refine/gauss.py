"""A world of Gaussian scores without pictures: what the search and the verdict make of them is what is tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from random import Random
from typing import ClassVar, Literal

from limner.refine.arms import Scored
from limner.refine.asking import Ask, World, answered
from limner.refine.design import Budget, Design, divided
from limner.refine.pairs import Scorer
from limner.refine.proving import prove
from limner.refine.search import Search
from limner.refine.strategy import Candidate, Proposals, Task
from limner.refine.verdict import Verdict
from limner.types import Request, Score

SEARCH, JUDGE, SPREAD = "searcher", "judge", "spread"


@dataclass
class Gauss:
    """Scores are quality + a part that all scorers of a picture share + their own; the SD over seeds is 1.

    ``gain`` is by how many standard deviations a prompt is better, by every scorer of words; diversity has none.
    ``shared`` is the correlation of two scorers of a picture, ``paired`` that of two prompts at one seed.
    """

    seed: int
    gain: Mapping[str, float] = field(default_factory=dict)
    shared: float = 0.5
    paired: float = 0.3
    asked: list[Ask] = field(default_factory=list)

    def answer(self, ask: Ask) -> list[Scored]:
        self.asked.append(ask)
        names = (*ask.metrics, *([] if ask.diversity is None else [ask.diversity]))
        return [
            Scored(trial, "", {name: _score(name, self.value(name, trial.request, trial.seed)) for name in names})
            for trial in ask.trials
        ]

    def value(self, name: str, request: Request, seed: int) -> float:
        noise = sqrt(self.paired) * self._normal(seed) + sqrt(1 - self.paired) * self._normal(request.prompt, seed)
        own = sqrt(self.paired) * self._normal(name, seed) + sqrt(1 - self.paired) * self._normal(
            name, request.prompt, seed
        )
        gain = 0.0 if name == SPREAD else self.gain.get(request.prompt, 0.0)
        return gain + sqrt(self.shared) * noise + sqrt(1 - self.shared) * own

    def _normal(self, *about: object) -> float:
        return Random(f"{self.seed} {about}").gauss(0, 1)


class Numbered:
    """Proposes "way 1", "way 2" ..."""

    name: ClassVar[str] = "paraphrase"
    about: ClassVar[str] = "numbers"
    chooses: ClassVar[Literal["prompt", "seed"]] = "prompt"

    def propose(self, task: Task, rng: Random) -> Proposals:
        yield from ()
        return [Candidate(request=Request(prompt=f"way {k}"), edit=f"way number {k}") for k in range(1, task.slots + 1)]


def _score(name: str, value: float) -> Score:
    return Score(scorer=name, revision="1", value=value, scale="SD", domain="any")


def scorer_of(name: str) -> Scorer:
    return Scorer(name=name, revision="1")


def design_of(images: int, **more: object) -> Design:
    rungs, pairs, finalists = divided(images, 1)
    said: dict[str, object] = {
        "request": Request(prompt="words"),
        "words": "words",
        "strategies": ("paraphrase",),
        "search": (SEARCH,),
        "judges": (JUDGE,),
        "floor": SEARCH,
        "alignment": SEARCH,
        "diversity": SPREAD,
        "budget": Budget(images=images),
        "images": images,
        "rungs": rungs,
        "pairs": pairs,
        "finalists": finalists,
        "seed": 0,
    }
    return Design.model_validate(said | more)


def task_of(design: Design, **more: object) -> Task:
    said: dict[str, object] = {
        "request": design.request,
        "words": design.words,
        "atoms": (),
        "slots": design.slots,
        "seeds": design.search_seeds[:2],
        "scorers": dict.fromkeys(design.search, 1),
    }
    return Task(**(said | more))  # type: ignore[arg-type]


def search_of(design: Design, strategies: Sequence[object] = (Numbered(),)) -> Search:
    return Search(design, task_of(design), strategies, World(lambda request: request.model_dump_json()))  # type: ignore[arg-type]


def refined(design: Design, gauss: Gauss) -> tuple[Search, tuple[Verdict, ...]]:
    """The whole procedure, as it refines pictures."""
    search = search_of(design)
    finalists = answered(search.run(), gauss.answer)
    return search, answered(prove(design, finalists, scorer_of), gauss.answer) if finalists else ()
