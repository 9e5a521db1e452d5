"""Weights of a network on the CPU in the layout its kernels want, arranged once instead of at every call.

oneDNN computes convolutions, and matrix products in bfloat16, on blocked weights, and rearranges plain ones each time
they are used. For small batches that takes as long as the computation itself. The mathematics stays the same; in
float32 another kernel may be chosen, so results can differ by rounding.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from limner.models.nets.attention import Pointwise

MATRIX_DTYPES = (torch.bfloat16,)


class PackedConvolution(nn.Module):
    """A 2-D convolution whose weight only oneDNN can read. ``bias`` stays plain."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.bias = conv.bias
        self.padding = _pair(conv.padding)
        self.stride = _pair(conv.stride)
        self.dilation = _pair(conv.dilation)
        self.groups = conv.groups
        # Neither parameter nor buffer: it can be neither saved nor converted.
        self.packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            conv.weight, self.padding, self.stride, self.dilation, self.groups
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.packed, self.bias, self.padding, self.stride, self.dilation, self.groups, "none", [], ""
        )
        return result


class PackedLinear(nn.Module):
    """A matrix product whose weight only oneDNN can read. ``bias`` stays plain."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return result


def pack(module: nn.Module, *, matrices: bool = False) -> None:
    """Replace, in place, the layers of a loaded network that compute faster packed.

    ``matrices`` packs matrix products in float32 too: that pays for few rows, where a product is bound by reading its
    weights (2.7 times faster measured at 2 rows), as in a decoder that writes token by token.

    For inference on the CPU only. A packed network cannot be moved, converted or saved: load it again instead. Layers
    that this build of torch or this processor cannot pack stay as they are.
    """
    # A list of all modules would keep every plain weight alive beside its packed one until the end.
    for parent in [each for each in module.modules() if not isinstance(each, nn.Conv2d | nn.Linear)]:
        for name, child in list(parent.named_children()):
            if (packed := _packed(child, matrices)) is not None:
                parent.register_module(name, packed)


def pack_layer(root: nn.Module, name: str, *, matrices: bool = False) -> None:
    """As ``pack``, of the one layer called ``name`` below ``root``, if it is one that can be packed."""
    parent, _, own = name.rpartition(".")
    above = root.get_submodule(parent)
    if own and (packed := _packed(above.get_submodule(own), matrices)) is not None:
        above.register_module(own, packed)


@functools.cache
def can_pack(dtype: torch.dtype, device_type: str) -> bool:
    """Whether weights of ``dtype`` can be packed here. The kernels are torch's own business, so they are tried."""
    if device_type != "cpu" or dtype not in (torch.bfloat16, torch.float32):
        return False
    conv = nn.Conv2d(16, 16, 3, padding=1, device="cpu", dtype=dtype).requires_grad_(False)
    linear = nn.Linear(16, 16, device="cpu", dtype=dtype).requires_grad_(False)
    x = torch.ones(1, 16, 8, 16, device="cpu", dtype=dtype)
    try:
        packed_conv = PackedConvolution(conv)(x)
        packed_linear = PackedLinear(linear.weight, linear.bias)(x)
    except (RuntimeError, AttributeError, TypeError):
        return False
    return torch.allclose(packed_conv, conv(x), atol=1e-2) and torch.allclose(packed_linear, linear(x), atol=1e-2)


def _packed(layer: nn.Module, matrices: bool) -> nn.Module | None:
    if not isinstance(layer, nn.Conv2d | nn.Linear) or not can_pack(layer.weight.dtype, layer.weight.device.type):
        return None
    if isinstance(layer, nn.Conv2d) and not isinstance(layer, Pointwise):
        return PackedConvolution(layer)
    # In float32 the plain product of many rows needs no rearranging.
    worth = matrices or layer.weight.dtype in MATRIX_DTYPES
    return PackedLinear(layer.weight.flatten(1), layer.bias) if worth else None


def _pair(value: object) -> list[int]:
    if not isinstance(value, tuple):
        raise TypeError(f"{value!r} is no pair of numbers")
    return [int(item) for item in value]
