"""The LoRA as a file that Limner, diffusers, A1111, Forge, ComfyUI and kohya's scripts read: kohya's names for all.

A UNet's layers go by their diffusers names for Stable Diffusion 1 and 2 and by those of the first release for XL, text
encoders by ``lora_te`` (1 and 2), ``lora_te1`` and ``lora_te2`` (XL): what kohya's trainers write and others expect.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from limner.disk import write_atomic
from limner.errors import NonFinite
from limner.models.adapters.targets import Targets, compvis_of, flat
from limner.models.latent.parts import TEXT, TEXT_2, UNET

PREFIXES: Mapping[bool, Mapping[str, str]] = {
    False: {UNET: "lora_unet", TEXT: "lora_te"},
    True: {UNET: "lora_unet", TEXT: "lora_te1", TEXT_2: "lora_te2"},
}
HALF_MOST = 65504.0


def kohya_names(part: str, layers: Mapping[str, tuple[int, ...]], *, xl: bool) -> dict[str, str]:
    """Each layer's name in the file. ``layers`` are all of the part's, with their weights' shapes."""
    prefix = PREFIXES[xl][part]
    if part != UNET:
        return {name: f"{prefix}_text_model_{flat(name)}" for name in layers}
    other = dict(compvis_of(layers)) if xl else {}
    return {name: f"{prefix}_{flat(other.get(name, name))}" for name in layers}


def tensors_of(
    values: Mapping[str, Tensor], names: Mapping[str, Mapping[str, str]], targets: Targets, alpha: float
) -> dict[str, Tensor]:
    """The file's tensors from factors by ``PART.LAYER.down|up``; float16 where they fit into it, as usual.

    ``targets`` are the weights' shapes as the checkpoint stores them: of what is a convolution there, though computed
    as a matrix here, both factors are convolutions too. Others' loaders go by that.

    Raises ``NonFinite`` for values that are not finite."""
    most = max((float(each.abs().max()) for each in values.values()), default=0.0)
    if not most < float("inf"):  # NaN too
        raise NonFinite("the weights are not finite, and were not written", hint="a lower --lr; --resume goes on")
    dtype = torch.float16 if most < HALF_MOST else torch.float32
    made: dict[str, Tensor] = {}
    for name, value in values.items():
        part, _, rest = name.partition(".")
        layer, _, slot = rest.rpartition(".")
        stem = names[part][layer]
        shape = targets[part][layer]
        kernel = shape[2:] if slot == "down" else (1,) * len(shape[2:])
        shaped = value.detach().reshape(*value.shape[:2], *kernel)
        made[f"{stem}.lora_{slot}.weight"] = shaped.to("cpu", dtype).contiguous()
        made[f"{stem}.alpha"] = torch.tensor(alpha, dtype=dtype)
    return made


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Whole or not at all. ``sshs_model_hash``, by which A1111 knows a LoRA, is added. Raises ``StorageError``."""
    body = save(dict(tensors))
    start = 8 + int.from_bytes(body[:8], "little")
    hashed = hashlib.sha256(body[start:]).hexdigest()
    write_atomic(path, save(dict(tensors), {**metadata, "sshs_model_hash": hashed}))


def said(value: object) -> str:
    """A value as safetensors metadata, which is text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
