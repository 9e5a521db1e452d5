"""What is resident. Parts are loaded when a row first needs them, and leave when another needs their room.

Moving weights out and in again does not change a pixel, so it is done without asking, and noted; anything that would
(another dtype, a tiled decode, a smaller size) is planned and announced instead. What each part needs is known before
it is loaded, from the estimates of the Plans under way: so the text encoder leaves before the UNet comes, not after
memory has run out. A part that left is read from its files again, which the system mostly still has in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from limner.models.estimates.estimate import leaving
from limner.sampling.course import Weights

if TYPE_CHECKING:
    from torch.nn import Module

    from limner.types import PartCost

PATIENCE = 64  # calls that go to resident parts before another part is let in, where both cannot be
UNKNOWN_SHARE = 2 / 3  # of the budget for weights of which nothing is known; the rest is for what they work with


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of a part's weights, and of what a call of ``rows`` batch elements works with."""

    weights: int
    work: int
    rows: int = 1

    def of_rows(self, rows: int) -> int:
        """Bytes of work for a call of so many rows; one picture's are the least that is counted with."""
        return self.work * max(rows, self.rows) // self.rows


@dataclass(slots=True)
class Residency:
    """Modules by their Weights, oldest use first. ``budget`` gives the bytes for weights and work on a device, by the
    device's name; one module is always allowed. ``on_leave`` is told which part left for which."""

    load: Callable[[Weights], Module]
    budget: Callable[[str], int]
    on_leave: Callable[[Weights, Weights], None] = lambda left, comes: None
    _resident: OrderedDict[Weights, tuple[Module, int]] = field(default_factory=OrderedDict)
    _expected: dict[str, Mapping[tuple[str, str], Need]] = field(default_factory=dict)
    _stayed: int = 0

    def expect(self, who: str, checkpoint: str, parts: Iterable[PartCost]) -> None:
        """Learn what the parts of a checkpoint will need while ``who`` is under way."""
        self._expected[who] = {
            (checkpoint, each.name): Need(each.weights_bytes, each.work_bytes, each.rows)
            for each in parts
            if each.work_bytes is not None
        }

    def forget(self, who: str) -> None:
        self._expected.pop(who, None)

    def get(self, weights: Weights, rows: int = 1) -> Module:
        """The module, loaded if need be, with room for a call of ``rows`` rows. Raises ``ModelError``."""
        held = self._resident.get(weights)
        self._make_room(weights, rows, loaded=held is not None)
        if held:
            self._resident.move_to_end(weights)
            return held[0]
        module = self.load(weights)
        self._resident[weights] = (module, size_of(module))
        if self._need(weights) is None:
            self._shrink(weights)
        return module

    def peek(self, weights: Weights) -> Module | None:
        """The module if it is resident; does not count as a use."""
        held = self._resident.get(weights)
        return held[0] if held else None

    def drop(self, keep: Weights | None = None) -> int:
        """Let go of everything but ``keep``; returns the bytes freed."""
        dropped = [w for w in self._resident if w != keep]
        return sum(self._resident.pop(w)[1] for w in dropped)

    def modules(self, device: str) -> list[Module]:
        """Those on a device."""
        return [module for weights, (module, _) in self._resident.items() if _device(weights) == device]

    @property
    def held(self) -> int:
        """Bytes resident."""
        return sum(size for _, size in self._resident.values())

    def most_rows(self, weights: Weights) -> int | None:
        """How many rows, in whole pictures, a call may have when nothing else is resident; ``None``: any number."""
        need = self._need(weights)
        if need is None or not need.work:
            return None
        pictures = (self.budget(_device(weights)) - need.weights) // need.work
        return max(pictures, 1) * need.rows

    def fits_beside(self, weights: Weights) -> bool:
        """Whether a part is resident or could come without another having to leave."""
        need = self._need(weights)
        if weights in self._resident or need is None:
            return True
        there = self._on(_device(weights))
        work = max((n.work for w in there if (n := self._need(w)) is not None), default=0)
        return sum(there.values()) + need.weights + work <= self.budget(_device(weights))

    def served_now(self, wanted: Collection[Weights]) -> Collection[Weights]:
        """Which of the parts that rows wait for to serve: all, unless they cannot be resident together. Then those that
        are, for a while: rows that share calls would else drive each other's parts out at every call."""
        there = [w for w in wanted if w in self._resident]
        if not there or len(there) == len(wanted) or all(self.fits_beside(w) for w in wanted):
            self._stayed = 0
            return wanted
        self._stayed += 1
        if self._stayed <= PATIENCE:
            return there
        self._stayed = 0
        return [w for w in wanted if w not in self._resident]

    def _need(self, weights: Weights) -> Need | None:
        """The largest of what those under way expect of the part."""
        key = (weights.checkpoint, weights.part)
        needs = [expected[key] for expected in self._expected.values() if key in expected]
        return max(needs, key=lambda need: need.weights + need.work, default=None)

    def _make_room(self, weights: Weights, rows: int, *, loaded: bool) -> None:
        need = self._need(weights)
        if need is None:
            return
        device = _device(weights)
        others = {w: size for w, size in self._on(device).items() if w != weights}
        own = self._resident[weights][1] if loaded else need.weights
        for w in leaving(others, own + need.of_rows(rows), self.budget(device)):
            del self._resident[w]
            self.on_leave(w, weights)

    def _shrink(self, comes: Weights) -> None:
        device = _device(comes)
        others = {w: size for w, size in self._on(device).items() if w != comes}
        for w in leaving(others, self._resident[comes][1], int(self.budget(device) * UNKNOWN_SHARE)):
            del self._resident[w]
            self.on_leave(w, comes)

    def _on(self, device: str) -> dict[Weights, int]:
        return {w: size for w, (_, size) in self._resident.items() if _device(w) == device}


def _device(weights: Weights) -> str:
    """Checkpoints are named for the device they live on: ``hash@cuda:0``."""
    return weights.checkpoint.rpartition("@")[2]


def size_of(module: Module) -> int:
    """Bytes of a module's parameters and buffers, and of weights packed for the processor, which are neither."""
    packed = [tensor for each in module.modules() if (tensor := getattr(each, "packed", None)) is not None]
    tensors = [*module.parameters(), *module.buffers(), *packed]
    return sum(t.numel() * t.element_size() for t in tensors)
