"""Enlarging a picture that is finished, as a Plan of its own: no words, no steps, one network (or Lanczos' filter)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from limner.models.family import Files, Placement, Planned
from limner.models.latent import pictures
from limner.models.upscaling import run as upscale_run
from limner.models.upscaling.recognise import enlargement
from limner.sampling.course import Course, Solver, Weights
from limner.types import Adapter, Notice, Pixels, Plan, Recipe, Request

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from limner.models.catalog import Card
    from limner.models.machine import Machine
    from limner.prompts.vocabulary import Vocabulary

NAME = "upscale"
DTYPE = "float32"


class Upscaling:
    """Draws nothing: ``init`` enlarged by ``upscale``. In no registry, as no checkpoint is of this family."""

    name: ClassVar[str] = NAME
    honours: ClassVar[frozenset[str]] = frozenset({"prompt", "seed", "init", "upscale", "device", "dtype", "batching"})

    def recognise(self, index: Mapping[str, object]) -> float:
        return 0.0

    def plan(
        self,
        request: Request,
        card: Card | None,
        files: Files,
        machine: Machine | None,
        adapters: Sequence[Adapter] = (),
    ) -> Planned:
        """Raises ``InvalidRequest``, ``ModelError``, ``UnreadablePicture``."""
        assert request.init is not None
        assert request.upscale is not None
        own = pictures.size_of(files.extras[request.init])
        found = enlargement(request.upscale, adapters, files)
        width, height = found.size(own)
        recipe = Recipe(
            family=NAME,
            width=own[0],
            height=own[1],
            latent=(3, own[1], own[0]),
            options={
                "init": request.init,
                "upscale": found.network or "lanczos",
                "finished_width": width,
                "finished_height": height,
            },
        )
        said = f"enlarged from {own[0]}x{own[1]} to {width}x{height} by {request.upscale}"
        return Planned(recipe, request, (Notice(code="enlarged", message=said),))

    def load(self, weights: Weights, files: Files, placement: Placement) -> Module:
        return upscale_run.load(weights.part, files, placement)

    def forward(self, module: Module, part: str, batch: Mapping[str, Tensor]) -> Tensor:
        return upscale_run.forward(module, batch)

    def course(self, plan: Plan, k: int, solver: Solver | None, checkpoint: str, files: Files) -> Course:
        import torch

        options = plan.recipe.options
        whole = pictures.rgb(files.extras[str(options["init"])])
        pixels = upscale_run.from_image(whole, torch.zeros(0, device=torch.device(plan.device)))
        network = None if options["upscale"] == "lanczos" else str(options["upscale"])
        return (yield from upscale_run.enlarge(checkpoint, pixels, network, plan.recipe.finished, shown=True))

    def preview(self, latent: Tensor, part: Callable[[str], Module]) -> Pixels | None:
        return None

    def vocabulary(self, files: Files) -> Vocabulary | None:
        return None
