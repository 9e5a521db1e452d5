"""The protocol of a strategy: a generator that asks to see trials, is given their scores, and proposes candidates."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from limner import registry
from limner.errors import ConfigError, InvalidRequest
from limner.prompts.styles import Style
from limner.refine.arms import Scored, Trial
from limner.refine.atoms import Atom
from limner.types import Frozen, Request

PARAPHRASE = "paraphrase"
USER = "you"
"""Id of the user's own Request among candidates."""
DEFAULT = (PARAPHRASE, "weakest-atom", "expand", "guidance")
Write: TypeAlias = Callable[[str], str]
"""A language model: a text in, its answer out. Raises ``ModelError``."""


class Candidate(Frozen):
    """A rewrite: a whole Request, what was changed (``edit``) in which other candidate (``parent``), and why."""

    id: str = ""
    request: Request
    parent: str = USER
    strategy: str = ""
    edit: str
    reason: str = ""


class Probe(Frozen):
    """Trials that a strategy wants to see before it proposes, scored by the search scorers against ``words``; ``None``:
    the user's own. Only the task's seeds, and no more than ``slots`` Requests beside the user's: those are drawn
    anyway, so that looking costs nothing."""

    trials: tuple[Trial, ...]
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What a strategy works on.

    ``slots``: candidates that will be taken of it. ``seeds``: the common seeds for probes. ``scorers``: names of the
    search scorers, with 1 or -1 for those of which more or less is better. ``emphasis``: the model heeds
    ``(word:1.3)``. ``guidance``: the guidance that the Request is drawn with, ``None`` where the model has none.
    ``negative``: it takes a negative prompt. ``write`` is a language model and ``continue_`` one that goes on writing a
    prompt, where the user named them. ``refused`` says why the model cannot draw a Request; ``None``: it can.
    """

    request: Request
    words: str
    atoms: tuple[Atom, ...]
    slots: int
    seeds: tuple[int, ...]
    scorers: Mapping[str, int]
    emphasis: bool = True
    guidance: float | None = None
    negative: bool = True
    styles: Mapping[str, Style] = field(default_factory=dict)
    write: Write | None = None
    continue_: Write | None = None
    warn: Callable[[str], None] = lambda text: None
    refused: Callable[[Request], str | None] = lambda request: None

    def mean(self, scored: Sequence[Scored], metric: str) -> float | None:
        """The mean of a search scorer's values, turned so that more is better; ``None`` where it gave none."""
        values = [value for each in scored if (value := each.value(metric)) is not None]
        return self.scorers[metric] * sum(values) / len(values) if values else None


def changed(request: Request, **fields: object) -> Request:
    """The Request with some fields changed; what was not said stays unsaid, so that the user's defaults still fill it.
    Raises ``InvalidRequest``."""
    return Request.of(**(request.model_dump(exclude_unset=True) | fields))


Proposals: TypeAlias = Generator[Probe, Sequence[Scored], Sequence[Candidate]]


@runtime_checkable
class Strategy(Protocol):
    """One way of finding rewrites. ``chooses`` a seed: what it finds is a picture, and no prompt is judged by it."""

    name: ClassVar[str]
    about: ClassVar[str]
    chooses: ClassVar[Literal["prompt", "seed"]]

    def propose(self, task: Task, rng: Random) -> Proposals:
        """Propose candidates, the most promising first: the first ``task.slots`` that can be drawn are taken, more of
        them where another strategy leaves room. Deterministic but for ``rng`` and what the models write, so that a run
        can be taken up again. Raises ``InvalidRequest`` for a task that it can do nothing with."""
        ...


def load(name: str) -> Strategy:
    """A strategy by name. Raises ``UnknownName``, ``ConfigError``."""
    factory = registry.load("strategies", name)
    made = factory() if callable(factory) else factory
    if not isinstance(made, Strategy):
        raise ConfigError(f"{name!r} is no strategy", hint="it needs name, about, chooses and propose")
    return made


def with_baseline(names: Sequence[str]) -> tuple[str, ...]:
    """The strategies to use: those named (or the default ones), and paraphrasing in any case.

    A strategy that cannot beat random paraphrases has found nothing. Raises ``UnknownName``, ``InvalidRequest``.
    """
    chosen = tuple(dict.fromkeys(names)) or DEFAULT
    kinds = {load(name).chooses for name in chosen}
    if kinds == {"seed"}:
        return chosen
    if len(kinds) > 1:
        raise InvalidRequest(
            "a strategy that chooses a seed goes alone: a chosen seed says nothing of a prompt",
            field="strategy",
            hint="run it by itself: limner refine WORDS --strategy seeds",
        )
    return tuple(dict.fromkeys((PARAPHRASE, *chosen)))
