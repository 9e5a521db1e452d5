"""Weights of a network on the CPU in the layout its kernels want, arranged once instead of at every call.

oneDNN computes convolutions, and matrix products in bfloat16, on blocked weights, and rearranges plain ones each time
they are used. For small batches that takes as long as the computation itself. The mathematics stays the same; in
float32 another kernel may be chosen, so results can differ by rounding.

A layer may be left as its file has it until it is first used: then it takes no memory before, what is never used (an
autoencoder's encoder, for a picture from words) takes none at all, and no two layers are there twice at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.errors import CorruptFile
from limner.models.nets.attention import Pointwise

SHOWN = 3
MATRIX_DTYPES = (torch.bfloat16,)
AT_ONCE = 1 << 20  # numbers converted at a time, so that they stay in the processor's cache


class _Packed(nn.Module):
    """A layer whose weight only oneDNN can read. ``bias`` stays plain.

    ``packed`` is the arranged weight; on the meta device, in its shape and dtype, until the layer is first called. It
    is neither parameter nor buffer: it can be neither saved nor converted.
    """

    packed: Tensor

    def __init__(self, bias: Tensor | None) -> None:
        super().__init__()
        self.bias = bias if bias is None or isinstance(bias, nn.Parameter) else nn.Parameter(bias, requires_grad=False)

    def _take(self, weight: Tensor, dtype: torch.dtype | None) -> None:
        """Arrange ``weight`` now, or keep it as it is until the first call where ``dtype`` is that of the layer."""
        self._plain = None if dtype is None else weight
        self.what, self.called = "network", "weight"
        self.packed = self._arranged(weight) if dtype is None else weight.to("meta", dtype)

    def _ready(self) -> Tensor:
        if self._plain is not None:
            weight = converted(self._plain, self.packed.dtype)
            # Extremes show NaN and infinity, twenty times faster than asking every value.
            if not all(extreme.isfinite() for extreme in torch.aminmax(weight)):
                raise not_finite(self.what, [self.called], weight.dtype)
            self.packed = self._arranged(weight)
            self._plain = None
        return self.packed

    def _arranged(self, weight: Tensor) -> Tensor:
        raise NotImplementedError


class PackedConvolution(_Packed):
    """A 2-D convolution whose weight only oneDNN can read."""

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype | None = None) -> None:
        """``dtype``: that of the layer, where its weight is as stored and to be arranged at the first call."""
        super().__init__(conv.bias)
        self.padding = _pair(conv.padding)
        self.stride = _pair(conv.stride)
        self.dilation = _pair(conv.dilation)
        self.groups = conv.groups
        self._take(conv.weight.detach(), dtype)

    def _arranged(self, weight: Tensor) -> Tensor:
        # From plain weights in half the time that channels-last ones take, to the same result.
        result: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            weight.contiguous(), self.padding, self.stride, self.dilation, self.groups
        )
        return result

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._ready(), self.bias, self.padding, self.stride, self.dilation, self.groups, "none", [], ""
        )
        return result


class PackedLinear(_Packed):
    """A matrix product whose weight only oneDNN can read."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype | None = None) -> None:
        """``dtype``: that of the layer, where ``weight`` is as stored and to be arranged at the first call."""
        super().__init__(bias)
        self._take(weight.detach(), dtype)

    def _arranged(self, weight: Tensor) -> Tensor:
        result: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
        return result

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._ready(), self.bias, "none", [], "")
        return result


class WaitingLinear(PackedLinear):
    """A matrix product that needs no arranging, and still waits for its first use."""

    def _arranged(self, weight: Tensor) -> Tensor:
        return weight

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self._ready(), self.bias)


def not_finite(what: str, names: Sequence[str], dtype: torch.dtype) -> CorruptFile:
    """The error of weights with these names, of ``what``, that are NaN or infinite in ``dtype``."""
    shown = ", ".join(name[:160] for name in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return CorruptFile(
        f"{len(names)} weights of the {what} are not finite as {str(dtype).removeprefix('torch.')}: {shown}",
        hint="download the checkpoint again; if that does not help, it needs a dtype of larger range",
    )


def converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """``tensor`` in another floating dtype, the same numbers as ``Tensor.to`` gives.

    From float16 to bfloat16 by way of float32, a cache's worth at a time: torch's own way is one number after the
    other, 2.5 times slower as measured with torch 2.13.
    """
    if tensor.device.type != "cpu" or (tensor.dtype, dtype) != (torch.float16, torch.bfloat16):
        return tensor.to(dtype)
    result = torch.empty(tensor.shape, dtype=dtype)
    between = torch.empty(min(AT_ONCE, tensor.numel()))
    source, target = tensor.reshape(-1), result.view(-1)
    for begin in range(0, tensor.numel(), AT_ONCE):
        piece = between[: min(AT_ONCE, tensor.numel() - begin)]
        target[begin : begin + AT_ONCE].copy_(piece.copy_(source[begin : begin + AT_ONCE]))
    return result


def pack(module: nn.Module, *, matrices: bool = False, dtype: torch.dtype | None = None, what: str = "network") -> None:
    """Replace, in place, the layers of a loaded network that compute faster packed.

    ``matrices`` packs matrix products in float32 too: that pays for few rows, where a product is bound by reading its
    weights (2.7 times faster measured at 2 rows), as in a decoder that writes token by token.

    ``dtype`` is that of the network where the weights of the layers which ``waits`` names are as their file has them:
    they are converted, arranged and checked when they are first used, which raises ``CorruptFile`` for NaN and
    infinity, of ``what`` it is. Left out, all are arranged now.

    For inference on the CPU only. A packed network cannot be moved, converted or saved: load it again instead. Layers
    that this build of torch or this processor cannot pack stay as they are.
    """
    # A list of all modules would keep every plain weight alive beside its packed one until the end.
    parents = [(path, each) for path, each in module.named_modules() if not isinstance(each, nn.Conv2d | nn.Linear)]
    for path, parent in parents:
        for name, child in list(parent.named_children()):
            if (packed := _packed(child, matrices, dtype)) is not None:
                packed.what, packed.called = what, ".".join(filter(None, (path, name, "weight")))
                parent.register_module(name, packed)


def is_packed(layer: nn.Module, dtype: torch.dtype, device: torch.device, *, matrices: bool = False) -> bool:
    """Whether ``pack`` replaces a layer, in a network of that dtype on that device."""
    if not isinstance(layer, nn.Conv2d | nn.Linear) or not can_pack(dtype, device.type):
        return False
    # In float32 the plain product of many rows needs no rearranging.
    plain = isinstance(layer, nn.Linear | Pointwise)
    return not plain or matrices or dtype in MATRIX_DTYPES


def pack_layer(root: nn.Module, name: str, *, matrices: bool = False) -> None:
    """As ``pack``, of the one layer called ``name`` below ``root``, if it is one that can be packed."""
    parent, _, own = name.rpartition(".")
    above = root.get_submodule(parent)
    if own and (packed := _packed(above.get_submodule(own), matrices)) is not None:
        above.register_module(own, packed)


def waits(layer: nn.Module, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a layer, in a network of that dtype on that device, can do without its weight until its first use."""
    matrix = isinstance(layer, nn.Linear | Pointwise) and device.type == "cpu"
    return matrix or is_packed(layer, dtype, device)


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


def _packed(layer: nn.Module, matrices: bool, dtype: torch.dtype | None = None) -> _Packed | None:
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        return None
    device, worth = layer.weight.device, dtype or layer.weight.dtype
    if is_packed(layer, worth, device, matrices=matrices):
        if isinstance(layer, nn.Conv2d) and not isinstance(layer, Pointwise):
            return PackedConvolution(layer, dtype)
        return PackedLinear(layer.weight.flatten(1), layer.bias, dtype)
    if dtype is not None and waits(layer, dtype, device):
        return WaitingLinear(layer.weight.flatten(1), layer.bias, dtype)
    return None


def _pair(value: object) -> list[int]:
    if not isinstance(value, tuple):
        raise TypeError(f"{value!r} is no pair of numbers")
    return [int(item) for item in value]
