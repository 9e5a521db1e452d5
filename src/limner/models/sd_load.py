"""Stable Diffusion's parts as torch modules, and pictures of unfinished latents."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Module

from limner.errors import ModelNotFound
from limner.models.family import Files, Placement
from limner.models.inspect import read_json
from limner.models.latent.parts import TEXT, TEXT_2, UNET
from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.nets.clip import ClipText, ClipTextConfig
from limner.models.nets.unet import UNet, UNetConfig
from limner.models.weights import load_into
from limner.types import Pixels

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PREVIEW_SIDE = 16  # latent cells; larger latents are shrunk to it before they are decoded


def load_part(part: str, files: Files, placement: Placement, *, trainable: bool = False) -> Module:
    """Read text_encoder, text_encoder_2, unet or vae. ``trainable`` leaves its weights as autograd can use them. Raises
    ``ModelError``."""
    config = read_json(_one(files, f"{part}/config.json"))
    paths = files.part(part, ".safetensors")
    if not paths:
        raise ModelNotFound(
            f"{part}/ holds no safetensors file", hint="fetch the model again, or another version of it"
        )
    dtype = DTYPES[placement.dtype]
    # Arranged once for the CPU's matrix kernels; the module then lives and dies where it is.
    packed = placement.device.type == "cpu" and not trainable
    if part in (TEXT, TEXT_2):
        text = ClipTextConfig.from_json(config, projected=part == TEXT_2)
        return load_into(lambda: ClipText(text), paths, part, dtype, placement.device, packed=packed)
    if part == UNET:
        unet = UNetConfig.from_json(config)
        return load_into(lambda: UNet(unet), paths, part, dtype, placement.device, packed=packed)
    vae = AutoencoderConfig.from_json(config)
    return load_into(lambda: Autoencoder(vae), paths, part, dtype, placement.device, packed=packed)


def _one(files: Files, name: str) -> Path:
    try:
        return files.paths[name]
    except KeyError:
        raise ModelNotFound(f"the checkpoint has no {name}", hint="it is not a whole diffusers folder") from None


def preview(latent: Tensor, vae: Module) -> Pixels:
    """A latent decoded at a small size: latents of an autoencoder with local structure survive being averaged."""
    assert isinstance(vae, Autoencoder)
    z = latent[None].float()
    factor = max(1, max(z.shape[-2:]) // PREVIEW_SIDE)
    if factor > 1:
        z = torch.nn.functional.avg_pool2d(z, factor)
    out = _decoded(vae, z / vae.config.scaling_factor + (vae.config.shift_factor or 0.0))[0]
    shown = (out / 2 + 0.5).nan_to_num(0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
    pixels: Pixels = shown.permute(1, 2, 0).contiguous().cpu().numpy()
    return pixels


def _decoded(vae: Autoencoder, latents: Tensor) -> Tensor:
    """Pixels in float32; of an autoencoder that overflows in float16, made with weights that are float32 for now."""
    dtype = next(vae.parameters()).dtype
    out = vae.decode(latents.to(dtype)).float()
    if dtype != torch.float16 or bool(out.isfinite().all()):
        return out
    upcast = {name: tensor.float() for name, tensor in vae.named_parameters()}
    again: Tensor = torch.func.functional_call(vae, upcast, (latents,))
    return again
