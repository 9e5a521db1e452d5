"""A safetensors file that is a whole network into its module: header checked, names compared, values finite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from limner.errors import CorruptFile, MismatchedWeights
from limner.models.inspect import read_header

SHOWN = 3
ModuleT = TypeVar("ModuleT", bound=nn.Module)


def read_into(
    factory: Callable[[], ModuleT],
    path: Path,
    names: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> ModuleT:
    """The module filled with a file's tensors, renamed by ``names``; in evaluation mode, without gradients.

    Raises ``CorruptFile``, ``UnsafeFile``, ``MismatchedWeights`` (the first few differences are named).
    """
    tensors = names(_tensors(path))
    with torch.device("meta"):
        module = factory()
    wanted = module.state_dict()
    faults = {
        "missing": [name for name in wanted if name not in tensors],
        "unexpected": [name for name in tensors if name not in wanted],
        "wrong shape": [n for n, tensor in tensors.items() if n in wanted and tensor.shape != wanted[n].shape],
    }
    if any(faults.values()):
        told = "; ".join(f"{len(each)} {fault}: {', '.join(each[:SHOWN])}" for fault, each in faults.items() if each)
        raise MismatchedWeights(
            f"{path.name} does not hold the weights of this network: {told}",
            hint="config and weights must come from the same model",
        )
    placed = {name: tensor.to(device, dtype).contiguous() for name, tensor in tensors.items()}
    bad = [name for name, tensor in placed.items() if not bool(tensor.isfinite().all())]
    if bad:
        raise CorruptFile(f"{path.name} holds NaN or infinity in {bad[0]}", hint="fetch it again")
    module.load_state_dict(placed, assign=True)
    return module.eval().requires_grad_(False)


def _tensors(path: Path) -> dict[str, Tensor]:
    names = read_header(path).tensors
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise CorruptFile(f"{path} cannot be read: {error}", hint="delete it and fetch it again") from error
