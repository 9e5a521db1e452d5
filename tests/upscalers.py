"""Small upscaling networks with random weights, in the spellings they are published in."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

WIDTH, GROWTH, BLOCKS = 8, 4, 2


def real_esrgan(scale: int = 4, *, seed: int = 0) -> dict[str, Tensor]:
    """Real-ESRGAN's names: conv_first, body.0.rdb1.conv1, conv_body, conv_up1, conv_up2, conv_hr, conv_last."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}

    def conv(name: str, inputs: int, outputs: int) -> None:
        spread = 0.5 / (inputs * 9) ** 0.5
        state[f"{name}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) * spread
        state[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.05

    conv("conv_first", 3 * (4 // scale) ** 2, WIDTH)
    for block in range(BLOCKS):
        for dense in range(1, 4):
            for k in range(1, 6):
                conv(f"body.{block}.rdb{dense}.conv{k}", WIDTH + (k - 1) * GROWTH, GROWTH if k < 5 else WIDTH)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        conv(name, WIDTH, WIDTH)
    conv("conv_last", WIDTH, 3)
    return state


def old_esrgan(*, seed: int = 0) -> dict[str, Tensor]:
    """The same network under the first published names: model.0, model.1.sub.0.RDB1.conv1.0, model.3 ..."""
    places = {"conv_first": 0, "conv_up1": 3, "conv_up2": 6, "conv_hr": 8, "conv_last": 10}
    renamed: dict[str, Tensor] = {}
    for name, tensor in real_esrgan(seed=seed).items():
        head, _, kind = name.rpartition(".")
        if head == "conv_body":
            renamed[f"model.1.sub.{BLOCKS}.{kind}"] = tensor
        elif head in places:
            renamed[f"model.{places[head]}.{kind}"] = tensor
        else:
            _, block, dense, conv = head.split(".")
            renamed[f"model.1.sub.{block}.{dense.upper()}.{conv}.0.{kind}"] = tensor
    return renamed


def basicsr_esrgan(*, seed: int = 0) -> dict[str, Tensor]:
    """The same under BasicSR's first names: RRDB_trunk.0.RDB1.conv1, trunk_conv, upconv1, HRconv; and a prefix."""
    names = {"conv_body": "trunk_conv", "conv_hr": "HRconv", "conv_up1": "upconv1", "conv_up2": "upconv2"}
    renamed: dict[str, Tensor] = {}
    for name, tensor in real_esrgan(seed=seed).items():
        head, _, kind = name.rpartition(".")
        if head.startswith("body."):
            _, block, dense, conv = head.split(".")
            head = f"RRDB_trunk.{block}.{dense.upper()}.{conv}"
        renamed[f"params_ema.{names.get(head, head)}.{kind}"] = tensor
    return renamed


def compact(scale: int = 4, *, seed: int = 0) -> dict[str, Tensor]:
    """Real-ESRGAN's compact network: body.0 (convolution), body.1 (slopes), ..."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    layers = 3
    for k in range(layers + 1):
        inputs, outputs = (3 if k == 0 else WIDTH), (3 * scale * scale if k == layers else WIDTH)
        state[f"body.{2 * k}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) * 0.05
        state[f"body.{2 * k}.bias"] = torch.randn(outputs, generator=generator) * 0.02
        if k < layers:
            state[f"body.{2 * k + 1}.weight"] = torch.full((WIDTH,), 0.2)
    return state


def write(path: Path, state: dict[str, Tensor]) -> Path:
    save_file(state, path)
    return path
