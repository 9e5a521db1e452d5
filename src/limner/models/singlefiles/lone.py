"""What a lone weights file is when it is no checkpoint: a LoRA, an autoencoder, a part of something. Torch-free.

By the names in its header, never by the file's own name. Each is refused with what to do with it instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from limner.errors import MismatchedWeights, ModelError, ModelNotFound, UnsafeFile
from limner.models.inspect import refuse_pickle

PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".tif", ".tiff", ".bmp")
REPO = "use its diffusers repo or folder: limner -m ORG/NAME"


class Known(NamedTuple):
    """A kind of file: what it is called, how its names tell, and what to do with it."""

    what: str
    tells: Callable[[Collection[str]], bool]
    hint: str


def _any(pattern: str) -> Callable[[Collection[str]], bool]:
    compiled = re.compile(pattern)
    return lambda names: any(compiled.search(name) for name in names)


def _few(pattern: str) -> Callable[[Collection[str]], bool]:
    compiled = re.compile(pattern)
    return lambda names: len(names) <= 4 and any(compiled.search(name) for name in names)


KINDS = (
    Known(
        "a LoRA, which is laid over a checkpoint",
        _any(
            r"\.lora_(up|down|A|B)\b|^lora_(unet|te\d?|transformer)_|\.lora\.(up|down)\.|\.(hada_w1|lokr_w1|oft_blocks)"
        ),
        'name the checkpoint with -m and this file with --lora: limner "a fox" -m CHECKPOINT --lora FILE',
    ),
    Known(
        "a ControlNet, which guides a checkpoint",
        _any(r"^control_model\.|input_hint_block|controlnet_cond_embedding|controlnet_down_blocks"),
        "ControlNet comes with a later version of Limner",
    ),
    Known(
        "an IP-Adapter or T2I-Adapter, which guides a checkpoint",
        _any(r"^(ip_adapter\.|image_proj\.|adapter\.body\.)"),
        "adapters of this kind come with a later version of Limner",
    ),
    Known(
        "a textual inversion, a word for a checkpoint's text encoder",
        _few(r"^(emb_params|string_to_param|clip_l|clip_g|t5xxl|<.+>)"),
        "put it into a linked folder of embeddings and write its name in the prompt: limner models link --help",
    ),
    Known("Stable Diffusion 3", _any(r"(^|\.)joint_blocks\.\d+\."), "use its diffusers repo: limner models list"),
    Known("FLUX or a model of its kind", _any(r"(^|\.)(double_blocks|single_transformer_blocks)\.\d+\."), REPO),
    Known(
        "a UNet in the diffusers layout, without text encoder and autoencoder",
        _any(r"^(unet\.)?(down_blocks\.\d+\.(resnets|attentions)|conv_in\.weight$)"),
        "use the whole diffusers folder it belongs to",
    ),
    Known(
        "a transformer without the rest of its model",
        _any(r"(^|\.)(transformer_blocks|layers|blocks)\.\d+\.(attn|ad)"),
        REPO,
    ),
    Known(
        "an autoencoder (VAE)",
        _any(r"^(first_stage_model\.)?(encoder|decoder)\.(conv_in|mid|mid_block|down|up|up_blocks|down_blocks)\b"),
        'name the checkpoint with -m and this file with --vae: limner "a fox" -m CHECKPOINT --vae FILE',
    ),
    Known(
        "a text encoder",
        _any(r"^(text_model|encoder\.block|transformer\.resblocks|encoder\.layers)\."),
        "a part is no model: use the whole checkpoint",
    ),
    Known(
        "an upscaler",
        _any(r"^(params(_ema)?\.)?(model\.\d+\.(sub|weight)|conv_first\.|body\.\d+\.|layers\.\d+\.residual_group)"),
        'name the checkpoint with -m and this file with --upscale: limner "a fox" -m CHECKPOINT --upscale FILE',
    ),
)


def refusal(path: Path, names: Collection[str]) -> ModelError:
    """Why a file with tensors of these names, which hold no checkpoint, cannot be drawn with."""
    for known in KINDS:
        if known.tells(names):
            return ModelNotFound(f"{path.name} is {known.what}; -m wants a whole checkpoint", hint=known.hint)
    return MismatchedWeights(
        f"{path.name} holds no checkpoint that Limner knows: {len(names)} tensors, such as {_some(names)}",
        hint="Stable Diffusion 1, 2 and XL are read as single files; for others use their diffusers repo",
    )


def refuse_other(path: Path) -> None:
    """Refuse a file that is no safetensors by its name. Always raises ``UnsafeFile`` or ``ModelNotFound``."""
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        hint = convert_hint(path)
        try:
            refuse_pickle(path)
        except UnsafeFile as error:
            raise UnsafeFile(error.message, hint=hint) from None
        raise UnsafeFile(f"{path.name} is of a kind that can run code when it is loaded", hint=hint)
    what = "a picture, not a model" if suffix in PICTURES else "not a model"
    raise ModelNotFound(
        f"{path.name} is {what}",
        hint="-m takes a name of limner models list, a hub repo, a diffusers folder or a .safetensors checkpoint",
    )


def convert_hint(path: Path) -> str:
    """How to make a safetensors file of a pickle."""
    return f"convert it once, in a closed-off process that runs none of its code: limner models convert {path}"


def _some(names: Collection[str]) -> str:
    return ", ".join(sorted(name[:80] for name in names)[:3]) or "none"
