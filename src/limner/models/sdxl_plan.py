"""Stable Diffusion XL's part of a Plan (Podell et al. 2023, arXiv 2307.01952). Torch-free, from config files alone.

What sets it apart from Stable Diffusion 1 and 2: two text encoders, of which the refiner has the second only, read at
their penultimate layer; a pooled text; and what the network is told of the picture itself. Pictures are asked for as
large as they are drawn and not cropped, as Podell et al. do at inference.
"""

from __future__ import annotations

from collections.abc import Sequence

from limner.errors import MismatchedWeights
from limner.models.catalog import Card
from limner.models.family import Files, Planned
from limner.models.latent.parts import ROLE_SUFFIX, TEXT, TEXT_2
from limner.models.latent.plan import Configs, Kind, config
from limner.models.latent.plan import plan as plan_latents
from limner.models.machine import Machine, choose_device, choose_dtype
from limner.models.nets.configs import ClipTextConfig
from limner.types import Adapter, Notice, Request

INDEX = "model_index.json"
PENULTIMATE = 2  # clip skip: the layer both encoders are read at
SCORE, NEGATIVE_SCORE = 6.0, 2.5  # aesthetic scores that the refiner's makers use, wanted and unwanted
REFINER_NUMBERS = 5
GUIDANCE = 5.0


def plan(request: Request, card: Card, files: Files, machine: Machine, adapters: Sequence[Adapter] = ()) -> Planned:
    """Fill in what the request leaves open and compute the Recipe. Raises ``InvalidRequest``, ``ModelError``."""
    configs = Configs.read(files, adapters, card.name)
    text = ClipTextConfig.from_json(config(files, f"{TEXT_2}/config.json"), projected=True)
    refiner = _is_refiner(configs, text)
    options: dict[str, str | int | float | bool] = {
        "clip_skip": PENULTIMATE,
        "pooled": text.projection_dim or 0,
        "factor": configs.factor,
        **({"aesthetic_score": SCORE, "negative_aesthetic_score": NEGATIVE_SCORE} if refiner else {}),
        **({"force_upcast": True} if configs.vae.force_upcast else {}),
    }
    kind = Kind(
        family="sdxl",
        tokenizers=_tokenizers(files),
        options=options,
        guidance=GUIDANCE,
        silent_negative=_silent_negative(files, refiner),
    )
    planned = plan_latents(request, card, files, configs, kind, adapters)
    said = [*_refiner_notices(request, card, refiner), *_upcast_notices(request, card, configs, machine)]
    return Planned(planned.recipe, planned.request, (*planned.notices, *said), planned.estimate)


def _silent_negative(files: Files, refiner: bool) -> bool:
    """Whether an empty negative prompt is all zeros; the base was trained so. A single file has no index to say it."""
    said = config(files, INDEX).get("force_zeros_for_empty_prompt") if INDEX in files.paths else None
    return said if isinstance(said, bool) else not refiner


def _is_refiner(configs: Configs, text: ClipTextConfig) -> bool:
    """The refiner is told an aesthetic score in the place of a target size. Raises ``MismatchedWeights``."""
    if configs.unet.addition_embed_type is None or text.projection_dim is None:
        raise MismatchedWeights(
            "the UNet is not one of Stable Diffusion XL: it takes no pooled text",
            hint="model_index.json and unet/config.json must come from the same checkpoint",
        )
    return configs.unet.added_numbers(text.projection_dim) == REFINER_NUMBERS


def _tokenizers(files: Files) -> dict[str, str]:
    """Folders of the tokenizers that are there, with the suffix of their encoder's roles."""
    second = {"tokenizer_2": ROLE_SUFFIX[TEXT_2]}
    return {"tokenizer": ROLE_SUFFIX[TEXT], **second} if f"{TEXT}/config.json" in files.paths else second


def _refiner_notices(request: Request, card: Card, refiner: bool) -> list[Notice]:
    if not refiner or request.init is not None:
        return []
    message = f"{card.name} is a refiner: trained to finish pictures, not to begin them; give it one with --init"
    return [Notice(code="refiner-without-picture", message=message)]


def _upcast_notices(request: Request, card: Card, configs: Configs, machine: Machine) -> list[Notice]:
    dtype = choose_dtype(request.dtype, choose_device(request.device, machine), machine).dtype
    if dtype != "float16" or not configs.vae.force_upcast:
        return []
    message = f"the autoencoder of {card.name} overflows in float16 and runs in float32, as its config asks"
    return [Notice(code="float32-autoencoder", message=message)]
