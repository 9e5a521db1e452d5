"""Another autoencoder than the checkpoint's own: what a file is, and whether the checkpoint can use it. Torch-free.

A diffusers file with its ``config.json`` beside it, the same alone, or CompVis's layout. What a lone file cannot say
(how latents are scaled) is taken from the checkpoint whose latents it is to decode, and said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from limner.errors import MismatchedWeights
from limner.models.inspect import read_header, read_json
from limner.models.nets.configs import AutoencoderConfig
from limner.models.singlefiles import shapes
from limner.models.stored import pieces
from limner.types import Notice

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
PART = "vae"


@dataclass(frozen=True, slots=True)
class VaeFile:
    """``own_scaling``: its config says how its latents are scaled."""

    path: Path
    config: AutoencoderConfig
    own_scaling: bool

    def other_family(self, name: str, model: str, base: AutoencoderConfig) -> Notice | None:
        """What to say of one that fits by its shapes and is made for other latents: Stable Diffusion 1 and XL are like
        that. Only its own config tells."""
        if math.isclose(self.config.scaling_factor, base.scaling_factor, rel_tol=0.02):
            return None
        message = (
            f"VAE {name!r} fits {model} by its shapes, and is of another family: its latents are scaled by "
            f"{self.config.scaling_factor:g}, the model's own by {base.scaling_factor:g}; expect a wrong picture"
        )
        return Notice(code="vae-of-another-family", message=message)

    def notice(self, name: str) -> Notice:
        scaling = f"latents are scaled by {self.config.scaling_factor:g}"
        whose = "as its config says" if self.own_scaling else "as the model's own are: the file does not say"
        return Notice(code="vae", message=f"VAE {name!r} in the place of the model's own; {scaling}, {whose}")


def read_vae(path: Path, base: AutoencoderConfig, name: str, model: str) -> VaeFile:
    """What ``path`` is, to be used in the place of ``base``. ``name`` and ``model`` are for messages.

    Raises ``MismatchedWeights`` for what is no autoencoder, or one of other latents or another factor; else
    ``ModelError`` for a damaged file.
    """
    found = {each: piece.shape for each, piece in pieces(PART, read_header(path).tensors)}
    if "decoder.conv_in.weight" not in found:
        raise MismatchedWeights(
            f"{name!r} is no autoencoder (VAE): it has no decoder", hint="limner inspect FILE says what it is"
        )
    beside = path.parent / CONFIG
    alone = path.name != WEIGHTS or not beside.is_file()
    said = {**shapes.autoencoder(found), "norm_num_groups": base.norm_num_groups} if alone else read_json(beside)
    config = AutoencoderConfig.from_json(said)
    if alone:
        config = replace(config, force_upcast=base.force_upcast)
    own_scaling = said.get("scaling_factor") is not None
    if not own_scaling:
        config = replace(config, scaling_factor=base.scaling_factor, shift_factor=base.shift_factor)
    _refuse_other(config, base, name, model)
    return VaeFile(path, config, own_scaling)


def _refuse_other(config: AutoencoderConfig, base: AutoencoderConfig, name: str, model: str) -> None:
    for what, own, wanted in (
        ("latent channels", config.latent_channels, base.latent_channels),
        ("pixels a latent cell along each side", config.downsample_factor, base.downsample_factor),
        ("colour channels", config.out_channels, base.out_channels),
    ):
        if own != wanted:
            raise MismatchedWeights(
                f"VAE {name!r} does not fit {model}: it has {own} {what}, and the model's own has {wanted}",
                hint=f"use one made for {model}, or leave --vae out",
            )
