"""The Stable Diffusion 1 and 2 family (Rombach et al. 2022, arXiv 2112.10752): CLIP text encoder, UNet, KL autoencoder.

``plan`` is torch-free and lives in ``sd_plan.py``; this module runs what was planned. torch is imported when a part is
loaded or a course starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from limner.models import sd_plan, tokenizer
from limner.models.adapters.worn import wardrobe
from limner.models.catalog import Card
from limner.models.family import Files, Placement, Planned
from limner.models.latent.course import draw
from limner.models.latent.forward import forward
from limner.models.latent.parts import VAE, Parts
from limner.models.machine import Machine
from limner.models.resolving.layout import SD, Layout
from limner.models.upscaling import run as upscale_run
from limner.prompts.vocabulary import Vocabulary
from limner.sampling.course import Course, Solver, Weights
from limner.types import Adapter, Pixels, Plan, Request

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

DIFFUSED = frozenset(Request.model_fields) - {
    *("temperature", "top_k", "top_p"),
}
"""Fields that every family of diffused latents carries out."""


PIPELINES = frozenset({"StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"})
"""Classes that a checkpoint of these parts may name in its model_index.json."""


class StableDiffusion:
    """SD 1.x, 2.x and whatever has their parts, the built-in pocket model included."""

    name: ClassVar[str] = "sd"
    honours: ClassVar[frozenset[str]] = DIFFUSED
    norm: ClassVar[bool] = True  # are the text's states normalised, whichever layer they come from

    def recognise(self, index: Mapping[str, object]) -> float:
        return 1.0 if index.get("_class_name") in PIPELINES else 0.0

    def layout(self, index: Mapping[str, object]) -> Layout:
        return SD

    def plan(
        self, request: Request, card: Card, files: Files, machine: Machine, adapters: Sequence[Adapter] = ()
    ) -> Planned:
        return sd_plan.plan(request, card, files, adapters)

    def vocabulary(self, files: Files) -> Vocabulary | None:
        return tokenizer.vocabulary(tokenizer.read(files))

    def load(self, weights: Weights, files: Files, placement: Placement) -> Module:
        from limner.models.sd_load import load_part

        if upscale_run.is_upscaler(weights.part):
            return upscale_run.load(weights.part, files, placement)
        return load_part(weights.part, files, placement)

    def forward(self, module: Module, part: str, batch: Mapping[str, Tensor]) -> Tensor:
        """One part on stacked rows, see ``latent.forward``. Answers are float32."""
        if upscale_run.is_upscaler(part):
            return upscale_run.forward(module, batch)
        return forward(module, part, batch, norm=self.norm)

    def course(self, plan: Plan, k: int, solver: Solver | None, checkpoint: str, files: Files) -> Course:
        assert solver is not None
        parts = Parts(checkpoint, plan.numerics.dtype, plan.recipe, wardrobe(plan.adapters, files))
        return draw(parts, plan, k, solver, files)

    def preview(self, latent: Tensor, part: Callable[[str], Module]) -> Pixels | None:
        from limner.models.sd_load import preview

        return preview(latent, part(VAE))
