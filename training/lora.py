"""Low-rank adapters (Hu et al. 2021) on the UNet's linear maps and convolutions, saved under diffusers' names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

_TARGETS = (
    *("to_q", "to_k", "to_v", "to_out.0", "proj", "net.2", "proj_in", "proj_out"),
    *("conv1", "conv2", "conv_shortcut", "time_emb_proj", "downsamplers.0.conv", "upsamplers.0.conv"),
)


def _pair(size: tuple[int, ...]) -> tuple[int, int]:
    return size[0], size[1]


class Adapted(nn.Module):
    """``base(x) + up(down(x))`` with ``base`` frozen; ``up`` starts at zero, so nothing changes until it's trained."""

    def __init__(self, base: nn.Linear | nn.Conv2d, rank: int) -> None:
        super().__init__()
        self.base, self.on = base.requires_grad_(False), True
        self.lora_A: nn.Module
        self.lora_B: nn.Module
        if isinstance(base, nn.Conv2d):
            self.lora_A = nn.Conv2d(base.in_channels, rank, _pair(base.kernel_size), _pair(base.stride), bias=False)
            self.lora_A.padding = base.padding  # diffusers pads one side of some strided convolutions itself
            self.lora_B = nn.Conv2d(rank, base.out_channels, 1, bias=False)
        else:
            self.lora_A = nn.Linear(base.in_features, rank, bias=False)
            self.lora_B = nn.Linear(rank, base.out_features, bias=False)
        nn.init.normal_(self.lora_A.weight, std=1 / rank)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.base(x)
        return made + self.lora_B(self.lora_A(x)) if self.on else made


def adapt(unet: UNet2DConditionModel, rank: int) -> nn.ModuleDict:
    """Put adapters into ``unet`` in place; returns them by the adapted module's name (dots as ``|``)."""
    unet.requires_grad_(False)
    chosen = [
        (name, module)
        for name, module in unet.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and name.endswith(_TARGETS)
    ]
    adapters = nn.ModuleDict()
    for name, module in chosen:
        parent, _, leaf = name.rpartition(".")
        adapter = Adapted(module, rank)
        setattr(unet.get_submodule(parent), leaf, adapter)
        adapters[name.replace(".", "|")] = adapter
    return adapters


@contextmanager
def without(adapters: nn.ModuleDict) -> Iterator[None]:
    """The model as it was, inside the block."""
    for adapter in adapters.values():
        adapter.on = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for adapter in adapters.values():
            adapter.on = True  # type: ignore[assignment]


def load(adapters: nn.ModuleDict, path: Path) -> None:
    """Put what ``save`` wrote into freshly made adapters of the same rank."""
    saved = load_file(path)
    with torch.no_grad():
        for name, adapter in adapters.items():
            for part in ("lora_A", "lora_B"):
                value = saved[f"unet.{name.replace('|', '.')}.{part}.weight"]
                adapter.get_parameter(f"{part}.weight").copy_(value)


def save(adapters: nn.ModuleDict, path: Path) -> None:
    """``pytorch_lora_weights.safetensors`` as diffusers reads it, float16. Alpha equals the rank: no scale."""
    weights: dict[str, Tensor] = {}
    for name, adapter in adapters.items():
        for part in ("lora_A", "lora_B"):
            value = adapter.get_parameter(f"{part}.weight").detach()
            weights[f"unet.{name.replace('|', '.')}.{part}.weight"] = value.to(torch.float16).contiguous().cpu()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)
