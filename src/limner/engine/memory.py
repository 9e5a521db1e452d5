"""What is resident. Weights are loaded when a row first needs them and the least recently used leave first.

Moving weights out and in again does not change a pixel, so it is done without asking; anything that would (another
dtype, a tiled decode, a smaller size) is planned and announced instead.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from limner.sampling.course import Weights

if TYPE_CHECKING:
    from torch.nn import Module


@dataclass(slots=True)
class Residency:
    """Modules by their Weights, oldest use first. ``budget`` is bytes; one module is always allowed."""

    load: Callable[[Weights], Module]
    budget: int
    _resident: OrderedDict[Weights, tuple[Module, int]] = field(default_factory=OrderedDict)

    def get(self, weights: Weights) -> Module:
        """The module, loaded if need be. Raises ``ModelError``."""
        if held := self._resident.get(weights):
            self._resident.move_to_end(weights)
            return held[0]
        module = self.load(weights)
        self._resident[weights] = (module, size_of(module))
        self._shrink()
        return module

    def peek(self, weights: Weights) -> Module | None:
        """The module if it is resident; does not count as a use."""
        held = self._resident.get(weights)
        return held[0] if held else None

    def drop(self, keep: Weights | None = None) -> int:
        """Let go of everything but ``keep``; returns the bytes freed."""
        leaving = [w for w in self._resident if w != keep]
        return sum(self._resident.pop(w)[1] for w in leaving)

    @property
    def held(self) -> int:
        """Bytes resident."""
        return sum(size for _, size in self._resident.values())

    def _shrink(self) -> None:
        while self.held > self.budget and len(self._resident) > 1:
            self._resident.popitem(last=False)


def size_of(module: Module) -> int:
    """Bytes of a module's parameters and buffers, and of weights packed for the processor, which are neither."""
    packed = [tensor for each in module.modules() if (tensor := getattr(each, "packed", None)) is not None]
    tensors = [*module.parameters(), *module.buffers(), *packed]
    return sum(t.numel() * t.element_size() for t in tensors)
