"""From a LoRA file's tensors to what is added to each layer, in two factors where that is possible.

Every form comes down to ``up @ down``: a tucker core (``mid``) is multiplied into ``down``; a Hadamard product of two
products of rank r is one product of rank r * r (the Khatri-Rao products of their factors). What is not of low rank
(Kronecker products, small layers, full differences) stays one whole difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from limner.errors import CorruptFile
from limner.models.adapters.lora_file import AGAIN, Alphas, Layer
from limner.models.adapters.side import Change
from limner.models.adapters.targets import Shape

__all__ = ["read_changes"]


def read_changes(
    path: Path, layers: Mapping[str, Layer], shapes: Mapping[str, Shape], alphas: Alphas, adapter: int
) -> dict[str, Change]:
    """The change of each layer, float32 on the CPU. ``shapes`` are those of the layers' weights.

    Raises ``CorruptFile`` for a file that cannot be read or whose values are not finite.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {
                name: _change(layer, shapes[name], lambda key: file.get_tensor(key).float(), alphas, adapter, path)
                for name, layer in layers.items()
            }
    except (SafetensorError, OSError) as error:
        raise CorruptFile(f"{path.name} cannot be read: {error}", hint=AGAIN) from error


def _change(
    layer: Layer, shape: Shape, get: Callable[[str], Tensor], alphas: Alphas, adapter: int, path: Path
) -> Change:
    tensors = {slot: get(key) for slot, key in layer.keys.items()}
    factor = float(tensors["alpha"]) / (layer.rank or 1) if "alpha" in tensors else alphas.of(layer)
    if (layer.form == "lokr" and layer.rank is None) or layer.form == "full":
        factor = 1.0  # nothing is factored, so there is no rank to divide by
    bad = [key for slot, key in layer.keys.items() if not tensors[slot].isfinite().all()]
    if bad:
        raise CorruptFile(f"{path.name} holds values that are not finite: {bad[0]}", hint=AGAIN)
    down, up = _factors(layer, tensors, shape)
    if up is None:
        return Change(adapter, down.reshape(shape) * factor)
    return Change(adapter, down.reshape(len(down), *shape[1:]), up * factor)


def _factors(layer: Layer, t: Mapping[str, Tensor], shape: Shape) -> tuple[Tensor, Tensor | None]:
    """(down, up), or the whole difference and ``None``."""
    if layer.form == "lora":
        down, up = t["down"], t["up"].flatten(1)
        if "mid" in t:
            down = torch.einsum("rskl,si->rikl", t["mid"], down.flatten(1))
        return down, up
    if layer.form == "loha":
        return _hadamard(t, shape)
    if layer.form == "lokr":
        return torch.kron(*_kron_pair(t)), None
    return t["diff"], None


def _hadamard(t: Mapping[str, Tensor], shape: Shape) -> tuple[Tensor, Tensor | None]:
    first, second = (_pair(t, f"hada_w{i}", f"hada_t{i}") for i in (1, 2))
    rank = first[0].shape[1] * second[0].shape[1]
    if rank >= min(shape[0], math.prod(shape[1:])):
        return (first[0] @ first[1]) * (second[0] @ second[1]), None
    up = torch.einsum("or,os->ors", first[0], second[0]).flatten(1)
    down = torch.einsum("ri,si->rsi", first[1], second[1]).flatten(0, 1)
    return down, up


def _pair(t: Mapping[str, Tensor], w: str, core: str) -> tuple[Tensor, Tensor]:
    """The two factors ``[out, r]`` and ``[r, in * kernel]`` of a weight, its tucker core multiplied in."""
    a, b = t[f"{w}_a"], t[f"{w}_b"]
    if core not in t:
        return a, b.flatten(1)
    return a.T, torch.einsum("rskl,si->rikl", t[core], b).flatten(1)


def _kron_pair(t: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Both factors with as many axes: a matrix has a kernel of one."""
    first = t["lokr_w1"] if "lokr_w1" in t else t["lokr_w1_a"] @ t["lokr_w1_b"]
    if "lokr_w2" in t:
        second = t["lokr_w2"]
    elif "lokr_t2" in t:
        second = torch.einsum("rskl,ro,si->oikl", t["lokr_t2"], t["lokr_w2_a"], t["lokr_w2_b"])
    else:
        b = t["lokr_w2_b"]
        second = (t["lokr_w2_a"] @ b.flatten(1)).reshape(-1, *b.shape[1:])
    while first.ndim < second.ndim:
        first = first[..., None]
    return first, second
