"""Counting what a network costs, layer by layer, from shapes alone: parameters, operations, values held at once.

Torch-free. A ``Tally`` is walked through a network as a call would go. Operations are those of matrix products and
convolutions, a multiply-add counted as two, as ``torch.utils.flop_counter`` counts them; what is cheaper than that by
orders (norms, activations, additions) only moves memory, and ``moved`` counts those values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """One call of a network on ``rows`` batch elements. ``peak`` is the most values of the call alive at once;
    ``parameters`` do not depend on the rows."""

    rows: int = 1
    parameters: int = 0
    flops: int = 0
    moved: int = 0
    peak: int = 0
    _live: int = 0

    @contextmanager
    def held(self, values: int) -> Iterator[None]:
        """``values`` a row are alive inside."""
        self._live += values * self.rows
        self.peak = max(self.peak, self._live)
        yield
        self._live -= values * self.rows

    def take(self, values: int) -> None:
        """As ``held``, until ``drop``: for what a network keeps across its blocks."""
        self._live += values * self.rows
        self.peak = max(self.peak, self._live)

    def drop(self, values: int) -> None:
        self._live -= values * self.rows

    def weigh(self, parameters: int) -> None:
        """Parameters that take part in no product: tables, norms."""
        self.parameters += parameters

    def linear(self, inputs: int, outputs: int, positions: int, *, bias: bool = True) -> None:
        """A matrix applied at every position."""
        self.parameters += inputs * outputs + (outputs if bias else 0)
        self.flops += 2 * inputs * outputs * positions * self.rows

    def conv(self, inputs: int, outputs: int, positions: int, *, kernel: int = 3) -> None:
        """A square convolution with a bias; ``positions`` are those of its output."""
        self.parameters += inputs * outputs * kernel**2 + outputs
        self.flops += 2 * inputs * outputs * kernel**2 * positions * self.rows

    def norm(self, channels: int, positions: int) -> None:
        """A norm with scale and bias: reads twice, writes once."""
        self.parameters += 2 * channels
        self.moved += 3 * channels * positions * self.rows

    def passing(self, values: int, times: int = 2) -> None:
        """Values that are read and written without being multiplied."""
        self.moved += values * times * self.rows

    def attend(self, channels: int, queries: int, keys: int) -> None:
        """Scores and weighted values, over all heads together; the scores are never held whole."""
        self.flops += 4 * channels * queries * keys * self.rows
