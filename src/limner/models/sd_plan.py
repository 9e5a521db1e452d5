"""Stable Diffusion 1's and 2's part of a Plan. Torch-free, from config files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from limner.models.catalog import Card
from limner.models.family import Files, Planned
from limner.models.latent.plan import Configs, Kind
from limner.models.latent.plan import plan as plan_latents
from limner.types import Adapter, Request

KIND = Kind("sd", {"tokenizer": ""})


def plan(request: Request, card: Card, files: Files, adapters: Sequence[Adapter] = ()) -> Planned:
    """Fill in what the request leaves open and compute the Recipe. Raises ``InvalidRequest``, ``ModelError``."""
    configs = Configs.read(files, adapters, card.name)
    # Old configs say 0, but the networks were trained with 1; diffusers' pipeline corrects it too.
    configs = replace(configs, training=replace(configs.training, steps_offset=1))
    return plan_latents(request, card, files, configs, KIND, adapters)
