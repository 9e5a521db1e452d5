"""Which scorers search and which judge where nobody chose, by the pictures' world and the machine. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from limner import registry
from limner.evaluate.metric import MetricCard
from limner.models.machine import HEADROOM, Machine, gigabytes, usable_memory

POCKET_WORLD = "emoji scenes"  # the world of the built-in models' cards
POCKET_SEARCH, POCKET_JUDGE = "pocket-clip", "pocket-judge"
GPU_SEARCH = ("clip-l14", "pickscore")
GPU_JUDGE, GPU_SECOND_JUDGE = "imagereward", "vqascore"
CPU_SEARCH, CPU_JUDGE = "clip-b32", "clip-l14"
T4_BYTES = 15 * 2**30  # what a 16 GB T4 offers to programs

CardOf: TypeAlias = Callable[[str], MetricCard | None]


@dataclass(frozen=True, slots=True)
class Panel:
    """Scorers by name: those that choose among candidates, and those that judge what was chosen.

    ``capped``: a verdict of these judges is "indicative" at most, for the reason that ``reason`` gives.
    """

    search: tuple[str, ...]
    judges: tuple[str, ...]
    capped: bool
    reason: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.search, *self.judges)))


@dataclass(frozen=True, slots=True)
class Size:
    """What a scorer costs, in bytes; ``None`` where its card does not say. ``fits``: in this machine's device; ``t4``:
    in a 16 GB T4, a tenth kept free, alone."""

    name: str
    download: int | None
    memory: int | None
    fits: bool | None
    t4: bool | None

    def text(self) -> str:
        """``clip-l14: 1.7 GB to fetch, 1.8 GB of memory; fits here, fits a 16 GB T4``."""
        if self.memory is None:
            return f"{self.name}: no weights" if self.download is None else f"{self.name}: {gigabytes(self.download)}"
        fetched = "ships with Limner" if self.download is None else f"{gigabytes(self.download)} to fetch"
        here, there = "fits" if self.fits else "does not fit", "fits" if self.t4 else "does not fit"
        return f"{self.name}: {fetched}, {gigabytes(self.memory)} of memory; {here} here, {there} a 16 GB T4"


def card_of(name: str) -> MetricCard | None:
    """The card of a registered metric, which imports its module; ``None`` for a name that nothing is registered by."""
    if name not in registry.names("metrics"):
        return None
    card: object = getattr(registry.load("metrics", name), "card", None)
    return card if isinstance(card, MetricCard) else None


def panel(world: str | None, device: str, machine: Machine, *, beside: int = 0, card_of: CardOf = card_of) -> Panel:
    """The scorers for pictures of a world (a model card's ``world``; ``None``: not known) on a device.

    ``beside`` are the bytes that drawing holds on it meanwhile. Those that search and those that judge need not be held
    at once; the first of those that search is, as the alignment that no verdict may cost.
    """
    if world == POCKET_WORLD:
        return Panel((POCKET_SEARCH,), (POCKET_JUDGE,), False, "the built-in models' own scorers")
    if device == "cpu":
        reason = f"on a CPU {CPU_JUDGE} judges what its smaller sister {CPU_SEARCH} chose: indicative at most"
        return Panel((CPU_SEARCH,), (CPU_JUDGE,), True, reason)
    judging = (GPU_SEARCH[0], GPU_JUDGE, GPU_SECOND_JUDGE)
    needed = beside + max(_memory(names, card_of) for names in (GPU_SEARCH, judging))
    second, usable = card_of(GPU_SECOND_JUDGE), usable_memory(device, machine)
    if second is not None and second.memory_bytes is not None and needed <= usable:
        return Panel(GPU_SEARCH, (GPU_JUDGE, GPU_SECOND_JUDGE), False, f"all fit into {gigabytes(usable)} of {device}")
    why = f"with it {gigabytes(needed)} would be needed of {gigabytes(usable)}" if second else "it is not installed"
    return Panel(GPU_SEARCH, (GPU_JUDGE,), False, f"{GPU_SECOND_JUDGE} is left out: {why}")


def _memory(names: Sequence[str], card_of: CardOf) -> int:
    cards = [card_of(name) for name in names]
    return sum(card.memory_bytes or 0 for card in cards if card is not None)


def for_new(world: str | None) -> tuple[str, ...]:
    """The scorers that new pictures of a world are scored by, unless the user chose: the built-in ones for the built-in
    world, which cost next to nothing; none elsewhere."""
    return (POCKET_SEARCH,) if world == POCKET_WORLD and POCKET_SEARCH in registry.names("metrics") else ()


def sizes(names: Sequence[str], device: str, machine: Machine, *, card_of: CardOf = card_of) -> tuple[Size, ...]:
    """What each scorer costs and where it fits. Names that nothing is registered by are left out."""
    cards = [card for name in names if (card := card_of(name)) is not None]
    return tuple(_size(card, device, machine) for card in cards)


def _size(card: MetricCard, device: str, machine: Machine) -> Size:
    needed = card.memory_bytes
    return Size(
        card.name,
        card.size_bytes if card.repo is not None else None,
        needed,
        None if needed is None else needed <= usable_memory(device, machine),
        None if needed is None else needed <= HEADROOM * T4_BYTES,
    )


def higher_is_better(scorer: str) -> bool:
    """As its card says; a scorer that is no longer installed counts as most do."""
    card = card_of(scorer)
    return card is None or card.better == "higher"
