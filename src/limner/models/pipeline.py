"""Any diffusers pipeline that makes pictures from words: PixArt, Sana, Stable Diffusion 3, FLUX, Z-Image and others.

Sampling, guidance and text are the pipeline's own; size, seeds, words, progress, cancelling and Records are Limner's. A
picture is one ``Call``, so it cannot share the networks with others, which wait. ``plan`` is torch-free; diffusers and
transformers are imported when a pipeline is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar

from limner.errors import ModelError, UnsupportedField
from limner.models.catalog import Card
from limner.models.family import Files, Placement, Planned
from limner.models.machine import Machine
from limner.models.pipelines import plan as pipeline_plan
from limner.models.pipelines.kinds import kind_of, refusal
from limner.models.resolving.layout import Layout, by_index
from limner.prompts.vocabulary import Vocabulary
from limner.sampling.course import Call, Course, Runner, Solver, Tick, Weights
from limner.types import Adapter, Pixels, Plan, Request

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

__all__ = ["PART", "AnyPipeline"]

PART = "pipeline"
HONOURS = frozenset(
    {
        *("prompt", "negative", "model", "n", "seed", "width", "height", "steps", "guidance", "styles"),
        *("device", "dtype", "speed", "batching"),
    }
)


class AnyPipeline:
    name: ClassVar[str] = pipeline_plan.FAMILY
    honours: ClassVar[frozenset[str]] = HONOURS

    def recognise(self, index: Mapping[str, object]) -> float:
        """Half sure of any pipeline class: a family of its own knows better."""
        name = index.get("_class_name")
        return 0.5 if isinstance(name, str) and name.endswith("Pipeline") else 0.0

    def layout(self, index: Mapping[str, object]) -> Layout:
        """All components but a safety checker. Raises ``ModelError`` for a class that makes no pictures from words."""
        _refuse(str(index.get("_class_name")))
        whole = by_index(index)
        return Layout(tuple(part for part in whole.parts if part.name != pipeline_plan.CHECKER), index=True)

    def plan(
        self, request: Request, card: Card, files: Files, machine: Machine, adapters: Sequence[Adapter] = ()
    ) -> Planned:
        described = pipeline_plan.describe(card.name, files)
        _refuse(described.kind.name)
        known = request.but(
            steps=request.steps or card.steps,
            guidance=card.guidance if request.guidance is None else request.guidance,
        )
        # A card that somebody wrote knows better than the class; one read from the configs knows less.
        written = card.title != card.name
        return pipeline_plan.plan(known, described, (card.width, card.height) if written else (None, None))

    def refuse(self, asked: Request, card: Card) -> None:
        name = card.pipeline or "pipeline of diffusers"
        for field in ("solver", "schedule"):
            if getattr(asked, field) is not None:
                raise UnsupportedField(
                    f"{card.name} cannot honour {field!r}: a {name} has a scheduler of its own",
                    field=field,
                    hint="leave it out",
                )
        if card.pipeline is not None and asked.negative and not asked.styles:
            pipeline_plan.refuse_negative(card.name, kind_of(card.pipeline))

    def vocabulary(self, files: Files) -> Vocabulary | None:
        return None

    def load(self, weights: Weights, files: Files, placement: Placement) -> Module:
        from limner.models.pipelines.load import load

        return load(files, placement)

    def forward(self, module: Module, part: str, batch: Mapping[str, Tensor]) -> Tensor:
        raise NotImplementedError("a foreign pipeline has no rows: its course is one Call")

    def course(self, plan: Plan, k: int, solver: Solver | None, checkpoint: str, files: Files) -> Course:
        weights = Weights(checkpoint, PART, plan.numerics.dtype)

        def run(runner: Runner, tick: Tick) -> Tensor:
            from limner.models.pipelines.load import Held, require

            require()
            held = runner.module(weights)
            assert isinstance(held, Held)
            from limner.models.pipelines.draw import draw

            return draw(held, plan, k, tick)

        (picture,) = yield Call(weights, float(plan.recipe.width * plan.recipe.height), run)
        return picture

    def preview(self, latent: Tensor, part: Callable[[str], Module]) -> Pixels | None:
        return None

    def versions(self) -> Mapping[str, str]:
        """Of the libraries that draw: they decide pixels too."""
        return {name: version(name) for name in ("diffusers", "transformers")}


def _refuse(class_name: str) -> None:
    if (reason := refusal(class_name)) is not None:
        raise ModelError(
            f"the model is a {class_name}, which {reason}", hint="choose a text-to-image model: limner models list"
        )
