"""A network with adapters beside it: a twin that shares every weight with the one it was made from."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from limner.models.adapters.side import HOLDER, Change, Scales, SideConvolution, SideLinear
from limner.models.nets.attention import Pointwise
from limner.models.nets.packing import PackedConvolution, PackedLinear

__all__ = ["AddedEmbedding", "graft", "lay_beside"]

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Convolution = nn.Conv2d | PackedConvolution


class AddedEmbedding(nn.Module):
    """A token table with more rows behind its own: ids from ``first`` on are vectors that a user added."""

    def __init__(self, base: nn.Module, first: int, added: Tensor) -> None:
        super().__init__()
        self.base = base
        self.first = first
        self.register_buffer("added", added)

    def forward(self, ids: Tensor) -> Tensor:
        new = ids >= self.first
        known: Tensor = self.base(ids.masked_fill(new, 0))
        added = self.get_buffer("added")[(ids - self.first).clamp(0)].to(known.dtype)
        return torch.where(new[..., None], added, known)


def lay_beside(module: ModuleT, adapters: Sequence[Mapping[str, Change]]) -> ModuleT:
    """``module`` with the changes of some adapters beside its layers; ``module`` itself is left as it is.

    Args:
        module: the network, packed for the CPU or not.
        adapters: for each adapter, the changes by layer name, float32; their columns in the scales are their own.

    The changes are brought to the layers' device and to the network's dtype. What the twin adds, ``scaled`` switches.
    """
    changes: dict[str, list[Change]] = defaultdict(list)
    for each in adapters:
        for name, change in each.items():
            changes[name].append(change)
    like = next(module.parameters())
    scales = Scales()
    twin = graft(
        module, {name: _beside([_moved(change, like) for change in found], scales) for name, found in changes.items()}
    )
    twin.__dict__[HOLDER] = scales
    return twin


def graft(module: ModuleT, made: Mapping[str, Callable[[nn.Module], nn.Module]]) -> ModuleT:
    """A twin of ``module`` in which the layers named are replaced by what is made of them; all else is shared."""
    twin = copy.copy(module)
    twin.__dict__["_modules"] = dict(module._modules)
    below: dict[str, dict[str, Callable[[nn.Module], nn.Module]]] = defaultdict(dict)
    for name, make in made.items():
        child, _, rest = name.partition(".")
        if rest:
            below[child][rest] = make
        else:
            twin._modules[child] = make(module.get_submodule(child))
    for child, inside in below.items():
        twin._modules[child] = graft(module.get_submodule(child), inside)
    return twin


def _moved(change: Change, like: Tensor) -> Change:
    layout = torch.channels_last if change.down.ndim == 4 else torch.contiguous_format
    down = change.down.to(like.device, like.dtype, memory_format=layout)
    return Change(change.adapter, down, None if change.up is None else change.up.to(like.device, like.dtype))


def _beside(changes: Sequence[Change], scales: Scales) -> Callable[[nn.Module], nn.Module]:
    def make(layer: nn.Module) -> nn.Module:
        if isinstance(layer, Convolution) and not isinstance(layer, Pointwise):
            return SideConvolution(
                layer,
                scales,
                changes,
                stride=_pair(layer.stride),
                padding=_pair(layer.padding),
                dilation=_pair(layer.dilation),
            )
        if not isinstance(layer, nn.Linear | PackedLinear | Pointwise):
            raise TypeError(f"no adapter can be laid beside a {type(layer).__name__}")
        return SideLinear(layer, scales, [_flat(change) for change in changes])

    return make


def _flat(change: Change) -> Change:
    """A 1x1 convolution of positions is a matrix."""
    return Change(change.adapter, change.down.flatten(1).contiguous(), change.up)


def _pair(value: object) -> tuple[int, int]:
    assert isinstance(value, tuple | list)
    height, width = (int(item) for item in value)
    return height, width
