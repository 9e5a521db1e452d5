"""The layers of a checkpoint that an adapter can be laid over, and what other programs call them. Torch-free.

Names come from the headers of the checkpoint's own files, so every family has its own. A UNet's layers have a second
set of names, those of the first Stable Diffusion release (CompVis; XL's by Stability AI), which trainers use for XL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from limner.models.family import Files
from limner.models.inspect import read_header
from limner.models.stored import pieces

Shape: TypeAlias = "tuple[int, ...]"
Targets: TypeAlias = "Mapping[str, Mapping[str, Shape]]"
"""Part to layer to the shape of its weight, ``[out, in]`` or ``[out, in, h, w]``."""

PARTS = ("unet", "transformer", "text_encoder", "text_encoder_2")
_NO_LAYER = re.compile(r"(?:^|\.)(?:token_embedding|position_embedding)$")


def targets_of(files: Files) -> Targets:
    """Every linear and convolutional layer of the parts that adapters are made for. Raises ``ModelError``."""
    return {part: _layers(part, paths) for part in PARTS if (paths := files.part(part, ".safetensors"))}


@lru_cache(maxsize=32)
def _layers(part: str, paths: tuple[Path, ...]) -> Mapping[str, Shape]:
    found: dict[str, Shape] = {}
    for path in paths:
        for name, piece in pieces(part, read_header(path).tensors):
            layer = name.removesuffix(".weight")
            if layer != name and len(piece.shape) in (2, 4) and not _NO_LAYER.search(layer):
                found[layer] = piece.shape
    return found


def flat_names(part: str, layers: Mapping[str, Shape]) -> Mapping[str, str]:
    """Everything a layer may be called, with ``_`` between its parts, to its name here."""
    names = {flat(name): name for name in layers}
    if part == "unet":
        names |= {flat(other): name for name, other in compvis_of(layers)}
    if part.startswith("text_encoder"):
        for old, new in _TEXT_OLD.items():
            names |= {each.replace(new, old): name for each, name in list(names.items()) if each.endswith(new)}
        names |= {f"text_model_{each}": name for each, name in list(names.items())}
    return names


def flat(name: str) -> str:
    return name.replace(".", "_")


# The first diffusers LoRA of text encoders named these as the UNet's.
_TEXT_OLD: Mapping[str, str] = {
    "self_attn_to_q": "self_attn_q_proj",
    "self_attn_to_k": "self_attn_k_proj",
    "self_attn_to_v": "self_attn_v_proj",
    "self_attn_to_out_0": "self_attn_out_proj",
}
_FIXED: Mapping[str, str] = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_out": "out.2",
}
_RESNET: Mapping[str, str] = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_BLOCK = re.compile(r"^(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)$")
_MID = re.compile(r"^mid_block\.(resnets|attentions)\.(\d+)\.(.+)$")


def compvis_of(layers: Mapping[str, Shape]) -> Iterator[tuple[str, str]]:
    """Each layer of a UNet with its name in the first release: blocks counted through, from the outermost inwards and
    back."""
    matches = {name: match for name in layers if (match := _BLOCK.match(name))}
    blocks = _Blocks(
        {(m[1], int(m[2]), int(m[4])) for m in matches.values() if m[3] == "resnets"},
        {(m[1], int(m[2])) for m in matches.values() if m[3] == "attentions"},
    )
    for name in layers:
        if name in _FIXED:
            yield name, _FIXED[name]
        elif mid := _MID.match(name):
            place = 1 if mid[1] == "attentions" else 2 * int(mid[2])
            yield name, f"middle_block.{place}.{_inside(mid[1], mid[3])}"
        elif match := matches.get(name):
            side, level, kind, i, rest = match.groups()
            yield name, f"{blocks.place(side, int(level), kind, int(i))}.{_inside(kind, rest)}"


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Which resnets there are, as (side, level, number), and which (side, level) have attentions."""

    resnets: Set[tuple[str, int, int]]
    attended: Set[tuple[str, int]]

    def place(self, side: str, level: int, kind: str, i: int) -> str:
        """Where a block's part stands in the first release's numbering."""
        before = sum(1 for s, at, _ in self.resnets if s == side and at < level)
        own = sum(1 for s, at, _ in self.resnets if (s, at) == (side, level))
        if side == "down":  # the first block is conv_in; each level ends with its downsampler
            return f"input_blocks.{1 + before + level + (own if kind == 'downsamplers' else i)}.{_place(kind, False)}"
        # An upsampler is the last entry of its level's last block.
        block = before + (own - 1 if kind == "upsamplers" else i)
        return f"output_blocks.{block}.{_place(kind, (side, level) in self.attended)}"


def _place(kind: str, attended: bool) -> int:
    """The number within a block: the resnet is 0, its attention 1, and an upsampler what comes next."""
    if kind == "upsamplers":
        return 2 if attended else 1
    return 1 if kind == "attentions" else 0


def _inside(kind: str, rest: str) -> str:
    if kind == "resnets":
        return _RESNET.get(rest, rest)
    return "op" if kind == "downsamplers" else rest
