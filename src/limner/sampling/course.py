"""What a job asks of the engine, and is answered: the vocabulary families and solvers are written in.

A job's course is a generator. It yields an ``Eval`` (rows for one network), a ``Call`` (work that cannot be sliced into
rows), a ``Show`` (progress) or a ``Note`` (something to record) and receives the answers; its return value is the
picture. So a solver reads as its paper does and holds its own state, and the engine alone decides which rows share a
model call. This module needs no torch to import.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from limner.errors import LimnerError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


class Level(NamedTuple):
    """One noise level: ``x = alpha * x0 + sigma * noise``; ``t`` is what the network is told (may be fractional).

    Covers variance-preserving diffusion (alpha^2 + sigma^2 = 1), its zero-terminal-SNR form (alpha = 0 at the start;
    Lin et al. 2024, arXiv 2305.08891) and flow matching (alpha = 1 - sigma).
    """

    alpha: float
    sigma: float
    t: float


@dataclass(frozen=True, slots=True)
class Weights:
    """What must be resident for a row: a part of a checkpoint in a dtype, with adapters."""

    checkpoint: str
    part: str
    dtype: str
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One batch element, tensors without a batch axis. ``cost`` is predicted FLOPs.

    ``key`` names the answer's content where it may be remembered (a text encoding); rows of a step have none.
    """

    weights: Weights
    inputs: Mapping[str, Tensor]
    cost: float
    slot: int | None = None
    key: str | None = None

    def bucket(self) -> Hashable:
        """Rows of equal buckets can be stacked into one model call."""
        names = tuple((name, tuple(t.shape), str(t.dtype)) for name, t in sorted(self.inputs.items()))
        return (self.weights, names)


@dataclass(frozen=True, slots=True)
class Eval:
    """Rows answered together, in this order: guidance two, dropped guidance one."""

    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Work that cannot be sliced into rows (a foreign pipeline, a tiled decode). ``run`` gets the runner and a tick to
    call between its pieces; it answers one tensor. Other jobs wait meanwhile."""

    weights: Weights
    cost: float
    run: Callable[[Runner, Tick], Tensor]


@dataclass(frozen=True, slots=True)
class Show:
    """Progress: ``step`` of ``steps`` done; ``latent`` is x0 as predicted so far, for a preview."""

    step: int
    steps: int
    latent: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something that must reach the user and the Record: a retry, a fallback."""

    code: str
    message: str


Ask: TypeAlias = Eval | Call | Show | Note
Course: TypeAlias = "Generator[Ask, tuple[Tensor, ...], Tensor]"
Denoise: TypeAlias = "Callable[[Tensor, Level], Course]"


class Tick(Protocol):
    """What a ``Call`` calls between its pieces: tells progress or a note, and raises ``Cancelled`` when the job was
    cancelled."""

    def __call__(self, said: Show | Note | None = None, /) -> None: ...


class Runner(Protocol):
    """Tensors, no policy."""

    def forward(self, rows: Sequence[Row]) -> Sequence[Tensor | LimnerError]:
        """Answers of rows of one bucket, an error for a row that has none. Splits on out-of-memory and notes it."""
        ...

    def module(self, weights: Weights) -> Module:
        """The network itself, for a ``Call``; resident for the time of the call. Raises ``ModelError``."""
        ...


class Solver(Protocol):
    """Removes noise. ``x0 = yield from denoise(x, level)`` asks for the clean picture at a level."""

    def solve(self, x: Tensor, levels: Sequence[Level], denoise: Denoise, noise: Callable[[], Tensor]) -> Course:
        """From ``x`` at ``levels[0]`` to the sample at ``levels[-1]``. ``x`` is float32, of any shape without a batch
        axis; ``noise`` draws fresh standard noise of that shape in the job's own order. Yields a ``Show`` after each
        step."""
        ...


@dataclass(frozen=True, slots=True)
class SolverCard:
    """What the catalog of solvers says of one, torch-free.

    ``a1111`` and ``a1111_schedule`` are the sampler and schedule type other tools know it by. ``scheduler`` is the
    diffusers class that it draws the same pictures as; ``placement`` says where that one puts noise levels
    (``sampling/placement.py``) and ``spacing`` what it does where the model does not say. ``evals_per_step`` counts
    network evaluations of a full step. ``flow``: may be used with flow-matching models.
    """

    name: str
    title: str
    a1111: str
    solver: str  # module:Class, imported when used
    source: str
    scheduler: str
    placement: Literal["interpolated", "multistep", "ddim", "lcm"]
    spacing: Literal["leading", "linspace", "trailing"] = "linspace"
    a1111_schedule: str = "Automatic"
    karras: bool = False
    flow: bool = False
    stochastic: bool = False
    evals_per_step: int = 1
    aliases: tuple[str, ...] = ()
