"""A whole checkpoint in one safetensors file (CompVis's and A1111's layout): which architecture, and its configs.

Family and variant are known by the names and shapes in the header; the file's own name says nothing. No weight is read
for it, except 320 numbers where Stable Diffusion 2's prediction cannot be told otherwise. Torch-free.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from limner.errors import MismatchedWeights, ModelError, ModelNotFound
from limner.models.inspect import TensorInfo, read_header
from limner.models.singlefiles import compvis, shapes
from limner.models.singlefiles.architectures import INPAINTING, REFINER, SD1, SD2, SDXL, Architecture
from limner.models.singlefiles.lone import refusal
from limner.models.singlefiles.shapes import Shapes
from limner.models.singlefiles.training_hints import Trained, trained
from limner.models.stored import TEXT_PREFIXES, is_whole, pieces

PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")
EIGHT_BITS = frozenset({"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0", "I8", "U8"})
_EDITING = {
    5: "Stable Diffusion 2's depth model, which wants a depth map",
    7: "Stable Diffusion's x4 upscaler",
    8: "InstructPix2Pix, which wants a picture to edit",
}
# What training leaves in a file and no network of ours reads.
_LEFTOVERS = re.compile(
    r"^(alphas_cumprod|betas$|sqrt_|log_one_minus_|posterior_|logvar|lvlb_|model_ema\.(decay|num_updates)|denoiser\."
    r"|v_pred$|ztsnr$|first_stage_model\.loss\.|.*\.(position_ids|logit_scale|attn_mask)$|.*\.model\.visual\."
    r"|cond_stage_model\.model\.(text_projection|transformer\.resblocks\.23\.))"
)


@dataclass(frozen=True, slots=True)
class Single:
    """What a single file is. ``parts`` are those it holds; ``configs`` the JSON files its folder form would have, by
    name; ``extra`` the tensors nothing reads, ``averaged`` whether it has averaged (EMA) weights besides those used."""

    path: Path
    architecture: Architecture
    parts: tuple[str, ...]
    configs: Mapping[str, Mapping[str, object]]
    trained: Trained
    extra: tuple[str, ...]
    averaged: bool


def read(path: Path, said: str | None = None) -> Single:
    """Look into a safetensors file. ``said`` is what the user says its network predicts.

    Raises ``UnsafeFile`` and ``CorruptFile`` as ``read_header``; ``ModelNotFound`` for a LoRA and whatever else is no
    checkpoint; ``MismatchedWeights`` where parts do not fit each other, or are stored in a way that is not read.
    """
    header = read_header(path)
    names = header.tensors
    if not is_whole(names) or not _shapes(names, "unet"):
        raise refusal(path, names)
    _refuse_eight_bits(path, names)
    found = {part: held for part in PARTS if (held := _shapes(names, part))}
    architecture = _architecture(path, names, found)
    unet = shapes.unet(found["unet"], architecture.heads)
    _check_inputs(path, unet)
    texts = {
        part: {"architectures": [name], **shapes.text(found[part], activation)}
        for part, (name, activation) in architecture.texts.items()
    }
    _check_text(path, unet, texts)
    learnt = trained(path, header, architecture, unet, said)
    configs = _configs(architecture, unet, texts, learnt, found.get("vae"))
    return Single(
        path,
        architecture,
        tuple(found),
        configs,
        learnt,
        _extra(names),
        any(name.startswith("model_ema.") for name in names) and any(n.startswith(compvis.UNET_PREFIX) for n in names),
    )


def _shapes(tensors: Mapping[str, TensorInfo], part: str) -> Shapes:
    return {name: piece.shape for name, piece in pieces(part, tensors)}


def _refuse_eight_bits(path: Path, tensors: Mapping[str, TensorInfo]) -> None:
    for name, info in tensors.items():
        if info.dtype in EIGHT_BITS and name.startswith(compvis.UNET_PREFIX):
            raise MismatchedWeights(
                f"{path.name} stores its UNet in 8 bits ({info.dtype}), which Limner does not read yet",
                hint="use the float16 version of the same checkpoint",
            )


def _architecture(path: Path, tensors: Mapping[str, TensorInfo], found: Mapping[str, Shapes]) -> Architecture:
    """By the text encoders and by whether the UNet is told more than the text."""
    if any(name in tensors for name in ("edm_mean", "edm_vpred.sigma_max")):
        raise _unknown(path, "trained with EDM's noise (Playground 2.5, CosXL)")
    added = "add_embedding.linear_1.weight" in found["unet"]
    texts = [part for part in ("text_encoder", "text_encoder_2") if part in found]
    if not texts:
        raise ModelNotFound(
            f"{path.name} holds a UNet without a text encoder, so it cannot read a prompt",
            hint="use the whole checkpoint it was taken from",
        )
    if added and "text_encoder_2" in found:
        return SDXL if "text_encoder" in found else REFINER
    if added:
        raise _unknown(path, "an image variation model (unCLIP)")
    if texts != ["text_encoder"]:
        raise _unknown(path, f"a UNet with {' and '.join(texts)}")
    first, second = TEXT_PREFIXES["text_encoder"][:2]
    return SD1 if any(name.startswith(first) for name in tensors) else _second(second, tensors)


def _second(prefix: str, tensors: Iterable[str]) -> Architecture:
    return SD2 if any(name.startswith(prefix) for name in tensors) else SD1


def _unknown(path: Path, what: str) -> ModelError:
    return MismatchedWeights(
        f"{path.name} is {what}, which Limner does not read as a single file",
        hint="use its diffusers repo or folder, if it has one",
    )


def _check_inputs(path: Path, unet: Mapping[str, object]) -> None:
    inputs = unet["in_channels"]
    if inputs not in (4, INPAINTING):
        raise _unknown(path, _EDITING.get(int(str(inputs)), f"a UNet of {inputs} input channels"))


def _check_text(path: Path, unet: Mapping[str, object], texts: Mapping[str, Mapping[str, object]]) -> None:
    """The UNet attends to the states of all encoders side by side."""
    wanted = unet["cross_attention_dim"]
    made = sum(int(str(config["hidden_size"])) for config in texts.values())
    if wanted != made:
        raise MismatchedWeights(
            f"{path.name}: its UNet was trained with text states {wanted} wide, its text encoder makes {made}",
            hint="parts of different checkpoints were put together; download it again or use another",
        )


def _configs(
    architecture: Architecture,
    unet: Mapping[str, object],
    texts: Mapping[str, Mapping[str, object]],
    learnt: Trained,
    vae: Shapes | None,
) -> dict[str, Mapping[str, object]]:
    configs: dict[str, Mapping[str, object]] = {
        "model_index.json": architecture.index(int(str(unet["in_channels"]))),
        "unet/config.json": {"_class_name": "UNet2DConditionModel", **unet, "sample_size": learnt.side},
        "scheduler/scheduler_config.json": {**architecture.scheduler, **learnt.scheduler},
        **{f"{part}/config.json": config for part, config in texts.items()},
    }
    if vae is not None:
        configs["vae/config.json"] = vae_config(shapes.autoencoder(vae), architecture)
    return configs


def vae_config(found: Mapping[str, object], architecture: Architecture) -> Mapping[str, object]:
    """``vae/config.json`` of an autoencoder for an architecture, whose latents have its scale."""
    return {"_class_name": "AutoencoderKL", **found, "scaling_factor": architecture.scaling}


def _extra(tensors: Mapping[str, TensorInfo]) -> tuple[str, ...]:
    read = {piece.stored for part in PARTS for _, piece in pieces(part, tensors)}
    return tuple(name for name in tensors if name not in read and not _LEFTOVERS.match(name) and not _averaged(name))


def _averaged(name: str) -> bool:
    return name.startswith("model_ema.")
