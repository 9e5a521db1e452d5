"""The Stable Diffusion XL family (Podell et al. 2023, arXiv 2307.01952): base, refiner, and what was distilled from it.

``plan`` is torch-free and lives in ``sdxl_plan.py``; the rest is what Stable Diffusion 1 and 2 do, with the words read
by two encoders. Base and refiner are models of their own: handing a half-denoised latent from one to the other is not
done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from limner.models import sdxl_plan, tokenizer
from limner.models.catalog import Card
from limner.models.family import Files, Planned
from limner.models.machine import Machine
from limner.models.resolving.layout import SDXL, Layout, present_in
from limner.models.sd import StableDiffusion
from limner.prompts.vocabulary import Vocabulary
from limner.types import Adapter, Request

PIPELINES = frozenset(
    {"StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline"}
)
"""Classes that a checkpoint of these parts may name in its model_index.json."""


class StableDiffusionXL(StableDiffusion):
    """SDXL base, refiner, turbo, and its latent consistency models."""

    name: ClassVar[str] = "sdxl"
    norm: ClassVar[bool] = False

    def recognise(self, index: Mapping[str, object]) -> float:
        return 1.0 if index.get("_class_name") in PIPELINES else 0.0

    def layout(self, index: Mapping[str, object]) -> Layout:
        return present_in(index, SDXL)

    def plan(
        self, request: Request, card: Card, files: Files, machine: Machine, adapters: Sequence[Adapter] = ()
    ) -> Planned:
        return sdxl_plan.plan(request, card, files, machine, adapters)

    def vocabulary(self, files: Files) -> Vocabulary | None:
        folder = "tokenizer" if any(name.startswith("tokenizer/") for name in files.paths) else "tokenizer_2"
        return tokenizer.vocabulary(tokenizer.read(files, folder))
