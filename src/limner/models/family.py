"""The protocol of a family: an architecture and how to run it. Torch-free to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from limner.types import Adapter, Estimate, Notice, Pixels, Plan, Recipe, Request

if TYPE_CHECKING:
    from torch import Tensor, device
    from torch.nn import Module

    from limner.models.catalog import Card
    from limner.models.machine import Machine
    from limner.prompts.vocabulary import Vocabulary
    from limner.sampling.course import Course, Solver, Weights


@dataclass(frozen=True, slots=True)
class Files:
    """Where a checkpoint's files lie: names relative to its root, to paths on this machine.

    ``extras`` are files that a Plan names by their tagged hash: adapters, the start picture, its mask.
    """

    root: Path
    paths: Mapping[str, Path]
    extras: Mapping[str, Path] = field(default_factory=dict)

    def part(self, folder: str, *suffixes: str) -> tuple[Path, ...]:
        """Paths of a part's files with one of the suffixes, sorted by name (shards come in order)."""
        names = sorted(n for n in self.paths if n.startswith(folder + "/") and n.endswith(suffixes))
        return tuple(self.paths[n] for n in names)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a part is to live."""

    device: device
    dtype: str


UNKNOWN = Estimate()


@dataclass(frozen=True, slots=True)
class Planned:
    """A family's answer to a Request: its Recipe, the Request with its defaults filled in, and what to say."""

    recipe: Recipe
    request: Request
    notices: tuple[Notice, ...] = ()
    estimate: Estimate = UNKNOWN


class Family(Protocol):
    """One architecture. ``honours`` names the Request fields it can carry out; any other that is set is refused."""

    name: ClassVar[str]
    honours: ClassVar[frozenset[str]]

    def recognise(self, index: Mapping[str, object]) -> float:
        """0..1: how sure this family is that the checkpoint (its model_index.json or tensor shapes) is its own."""
        ...

    def plan(
        self, request: Request, card: Card, files: Files, machine: Machine, adapters: Sequence[Adapter] = ()
    ) -> Planned:
        """Resolve sizes, steps, levels and prompt chunks. ``adapters`` are those the Plan will carry; their files, and
        the pictures the request names, are in ``files.extras``. Torch-free. Raises ``InvalidRequest``."""
        ...

    def load(self, weights: Weights, files: Files, placement: Placement) -> Module:
        """Read one part of the checkpoint. Raises ``ModelError``."""
        ...

    def forward(self, module: Module, part: str, batch: Mapping[str, Tensor]) -> Tensor:
        """One model call on stacked rows: every input has a batch axis, the answer too."""
        ...

    def course(self, plan: Plan, k: int, solver: Solver | None, checkpoint: str, files: Files) -> Course:
        """Image ``k`` of the plan from text to pixels: float32, 3 x height x width, in 0..1. ``files`` hold what the
        plan names."""
        ...

    def preview(self, latent: Tensor, part: Callable[[str], Module]) -> Pixels | None:
        """A small picture of a latent, cheaply, or ``None``. ``part`` gives the modules that are resident."""
        ...

    def vocabulary(self, files: Files) -> Vocabulary | None:
        """What the text encoder can see, for lint; ``None`` where that is not known. Torch-free."""
        ...


@runtime_checkable
class Together(Protocol):
    """A family that makes the pictures of a request in one course, up to ``together`` of them: writing a token costs
    reading all weights once, for however many pictures."""

    together: ClassVar[int]

    def course_together(self, plan: Plan, images: Sequence[int], checkpoint: str) -> Course:
        """The plan's images with these indexes: n x 3 x height x width, as ``course`` makes them up to rounding. The
        latents it shows have a leading axis n too."""
        ...


@runtime_checkable
class Leaning(Protocol):
    """A family that leans on libraries beyond Limner's own: their versions decide pixels, and go into the Record."""

    def versions(self) -> Mapping[str, str]:
        """By library."""
        ...


@runtime_checkable
class Particular(Protocol):
    """A family whose models are not alike in what they can honour."""

    def refuse(self, asked: Request, card: Card) -> None:
        """Raise ``UnsupportedField`` for a field that this model cannot honour, from its card alone. Torch-free."""
        ...
