"""Random LoRA, textual inversions and autoencoders as people have them, and what they come to when merged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from limner.models.adapters.targets import Targets, flat, flat_names, targets_of
from limner.models.family import Files

WEIGHTS = {
    "unet": "unet/diffusion_pytorch_model.safetensors",
    "text_encoder": "text_encoder/model.safetensors",
    "text_encoder_2": "text_encoder_2/model.safetensors",
}
KOHYA = {"unet": "lora_unet_", "text_encoder": "lora_te_", "text_encoder_2": "lora_te2_"}
KOHYA_XL = {**KOHYA, "text_encoder": "lora_te1_"}


class Low(NamedTuple):
    """One layer's change: ``factor * up @ down``."""

    part: str
    layer: str
    down: Tensor
    up: Tensor
    factor: float

    @property
    def delta(self) -> Tensor:
        flat_down = self.down.flatten(1)
        return self.factor * (self.up.flatten(1) @ flat_down).reshape(len(self.up), *self.down.shape[1:])


def files_at(folder: Path) -> Files:
    """A diffusers folder's files."""
    return Files(folder, {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()})


def layers(folder: Path, wanted: Callable[[str, str], bool] = lambda part, name: True) -> list[tuple[str, str]]:
    return [
        (part, name) for part, found in targets_of(files_at(folder)).items() for name in found if wanted(part, name)
    ]


def random_changes(
    folder: Path, *, rank: int = 4, alpha: float = 2.0, strength: float = 0.3, seed: int = 0,
    wanted: Callable[[str, str], bool] = lambda part, name: "attn" in name or name.endswith(("proj_in", "fc1")),
) -> list[Low]:  # fmt: skip
    """A change of every layer ``wanted(part, name)`` asks for."""
    targets, generator = targets_of(files_at(folder)), torch.Generator().manual_seed(seed)
    made = []
    for part, name in layers(folder, wanted):
        shape = targets[part][name]
        down = torch.randn(rank, *shape[1:], generator=generator) * (strength / shape[1] ** 0.5)
        up = torch.randn(shape[0], rank, *(1,) * (len(shape) - 2), generator=generator)
        made.append(Low(part, name, down, up, alpha / rank))
    return made


def write_kohya(
    path: Path, changes: Iterable[Low], *, prefixes: Mapping[str, str] = KOHYA, metadata: Mapping[str, str] = {},
    names: Callable[[str, str], str] = lambda part, name: flat(name),
) -> Path:  # fmt: skip
    """``lora_unet_..._to_q.lora_down.weight`` with an ``alpha`` a layer."""
    tensors = {}
    for change in changes:
        inside = f"text_model_{flat(change.layer)}" if change.part != "unet" else names(change.part, change.layer)
        stem = prefixes[change.part] + inside
        tensors[f"{stem}.lora_down.weight"] = change.down
        tensors[f"{stem}.lora_up.weight"] = change.up
        tensors[f"{stem}.alpha"] = torch.tensor(change.factor * len(change.down))
    return _save(path, tensors, metadata)


def write_diffusers(path: Path, changes: Iterable[Low], *, style: str = "lora_A", **metadata: str) -> Path:
    """``unet.….lora_A.weight`` or ``unet.….lora.down.weight``; the factor is in ``up``, as diffusers saves it."""
    down, up = {"lora_A": ("lora_A", "lora_B"), "lora": ("lora.down", "lora.up")}[style]
    tensors = {}
    for change in changes:
        inside = change.layer if change.part == "unet" else f"text_model.{change.layer}"
        tensors[f"{change.part}.{inside}.{down}.weight"] = change.down
        tensors[f"{change.part}.{inside}.{up}.weight"] = change.up * change.factor
    return _save(path, tensors, metadata)


def write_peft(path: Path, changes: Iterable[Low]) -> Path:
    """``base_model.model.….lora_A.weight`` of one network, as ``PeftModel.save_pretrained`` names them."""
    tensors = {}
    for change in changes:
        tensors[f"base_model.model.{change.layer}.lora_A.weight"] = change.down
        tensors[f"base_model.model.{change.layer}.lora_B.weight"] = change.up
    return _save(path, tensors, {})


def compvis_name(folder: Path) -> Callable[[str, str], str]:
    """Names of a UNet's layers as trainers of XL write them: ``input_blocks_4_1_...``."""
    targets: Targets = targets_of(files_at(folder))
    names = {ours: other for other, ours in flat_names("unet", targets["unet"]).items() if other != flat(ours)}
    return lambda part, name: names.get(name, flat(name))


def merged(folder: Path, into: Path, changes: Iterable[tuple[str, str, Tensor]]) -> Path:
    """A copy of a checkpoint with ``(part, layer, delta)`` added to its weights."""
    shutil.copytree(folder, into)
    by_part: dict[str, list[tuple[str, Tensor]]] = {}
    for part, layer, delta in changes:
        by_part.setdefault(part, []).append((layer, delta))
    for part, found in by_part.items():
        path = into / WEIGHTS[part]
        state = load_file(path)
        names = {name.removeprefix("text_model."): name for name in state}
        for layer, delta in found:
            name = names[f"{layer}.weight"]
            state[name] = state[name] + delta.reshape(state[name].shape)
        save_file(state, path, {"format": "pt"})
    return into


def _save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, dict(metadata) or None)
    return path


def compvis_vae(state: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """A diffusers autoencoder's weights under the first release's names, its attention as 1x1 convolutions."""
    levels = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("encoder.down_blocks."))
    return {prefix + _compvis_vae(name, levels): _wide(name, tensor) for name, tensor in state.items()}


def _wide(name: str, tensor: Tensor) -> Tensor:
    matrix = ".attentions." in name and tensor.ndim == 2
    return (tensor[:, :, None, None] if matrix else tensor).contiguous()


def _compvis_vae(name: str, levels: int) -> str:
    for old, new in (
        ("mid_block.resnets.0", "mid.block_1"),
        ("mid_block.resnets.1", "mid.block_2"),
        ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
        ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
        ("mid_block.attentions.0.to_", "mid.attn_1."),
        ("conv_norm_out", "norm_out"),
        ("conv_shortcut", "nin_shortcut"),
        ("downsamplers.0", "downsample"),
        ("upsamplers.0", "upsample"),
        (".resnets.", ".block."),
    ):
        name = name.replace(old, new)
    parts = name.split(".")
    if parts[1] == "down_blocks":
        parts[1] = "down"
    elif parts[1] == "up_blocks":
        parts[1:3] = ["up", str(levels - 1 - int(parts[2]))]
    return ".".join(parts)
