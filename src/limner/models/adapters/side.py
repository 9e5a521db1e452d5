"""Adapters as side paths: ``base(x) + scale * up(down(x))``, with a scale for each row and adapter.

Weights stay as they are, so one copy of them serves every request, rows of different scales share a call, and scale 0
gives the base to the last bit. All adapters of a layer run as one pair of matrices, their ranks side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["HOLDER", "Change", "Scales", "SideConvolution", "SideLinear", "scaled", "some_rows"]

HOLDER = "adapter_scales"
"""The attribute of a network with side paths that holds its ``Scales``."""


@dataclass(slots=True)
class Scales:
    """The scales ``[N, adapters]`` of the rows of the call under way; ``None``: no adapter acts."""

    value: Tensor | None = field(default=None)


@contextmanager
def scaled(module: nn.Module, scales: Tensor | None) -> Iterator[None]:
    """Inside, ``module``'s side paths act on each row with its own ``scales`` ``[N, adapters]``."""
    holder = module.__dict__.get(HOLDER)
    if not isinstance(holder, Scales):
        yield
        return
    before, holder.value = holder.value, scales
    try:
        yield
    finally:
        holder.value = before


def some_rows(module: nn.Module, rows: Sequence[int]) -> AbstractContextManager[None]:
    """Inside, ``module`` is called with these rows only of those that ``scaled`` was told of."""
    holder = module.__dict__.get(HOLDER)
    value = holder.value if isinstance(holder, Scales) else None
    return scaled(module, None if value is None else value[list(rows)])


@dataclass(frozen=True, slots=True)
class Change:
    """What one adapter adds to a layer. ``down`` is ``[r, in, ...]`` and ``up`` ``[out, r]``, alpha / rank included;
    without ``up``, ``down`` is the whole difference ``[out, in, ...]``. ``adapter`` is its column of the scales."""

    adapter: int
    down: Tensor
    up: Tensor | None = None


class _Side(nn.Module):
    """A layer and what its adapters add."""

    which: Tensor

    def __init__(self, base: nn.Module, scales: Scales, changes: Sequence[Change]) -> None:
        super().__init__()
        self.base = base
        self.scales = scales
        low = [change for change in changes if change.up is not None]
        self.low = bool(low)
        if low:
            self.register_buffer("down", torch.cat([change.down for change in low]))
            self.register_buffer("up", torch.cat([change.up for change in low if change.up is not None], dim=1))
            columns = [change.adapter for change in low for _ in range(len(change.down))]
            self.register_buffer("which", torch.tensor(columns, device=low[0].down.device))
        self.whole = [change.adapter for change in changes if change.up is None]
        for place, change in enumerate(change for change in changes if change.up is None):
            self.register_buffer(f"whole_{place}", change.down)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.base(x)
        scales = self.scales.value
        if scales is None:
            return out
        scales = scales.to(out.dtype)
        if self.low:
            out = out + self._up(self._spread(scales[:, self.which], self._down(x, self.get_buffer("down"))))
        for place, column in enumerate(self.whole):
            change = self._down(x, self.get_buffer(f"whole_{place}"))
            out = out + self._spread(scales[:, column : column + 1], change)
        return out

    def _down(self, x: Tensor, weight: Tensor) -> Tensor:
        raise NotImplementedError

    def _up(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _spread(self, scales: Tensor, x: Tensor) -> Tensor:
        raise NotImplementedError


class SideLinear(_Side):
    """Beside a matrix that acts on the last axis of ``[N, ..., in]``."""

    def _down(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.linear(x, weight)

    def _up(self, x: Tensor) -> Tensor:
        return F.linear(x, self.get_buffer("up"))

    def _spread(self, scales: Tensor, x: Tensor) -> Tensor:
        return x * scales.reshape(len(scales), *(1,) * (x.ndim - 2), -1)


class SideConvolution(_Side):
    """Beside a convolution of ``[N, in, H, W]``: ``down`` moves as the layer does, ``up`` is pointwise."""

    def __init__(
        self,
        base: nn.Module,
        scales: Scales,
        changes: Sequence[Change],
        *,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
    ) -> None:
        super().__init__(base, scales, changes)
        self.stride, self.padding, self.dilation = tuple(stride), tuple(padding), tuple(dilation)

    def _down(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, self.stride, self.padding, self.dilation)

    def _up(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.get_buffer("up")[:, :, None, None])

    def _spread(self, scales: Tensor, x: Tensor) -> Tensor:
        return x * scales[:, :, None, None]
