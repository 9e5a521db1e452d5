"""The Stable Diffusion 1 and 2 family (Rombach et al. 2022, arXiv 2112.10752): CLIP text encoder, UNet, KL autoencoder.

``plan`` is torch-free and lives in ``sd_plan.py``; this module runs what was planned. torch is imported when a part is
loaded or a course starts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from limner.canonical import content_hash
from limner.errors import NonFinite
from limner.models import sd_plan, tokenizer
from limner.models.catalog import Card
from limner.models.family import Files, Placement, Planned
from limner.models.machine import Machine
from limner.prompts.vocabulary import Vocabulary
from limner.sampling.course import Ask, Course, Denoise, Eval, Level, Note, Row, Solver, Weights
from limner.types import Pixels, Plan, Prompted, Recipe, Request

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

TEXT, UNET, VAE = "text_encoder", "unet", "vae"


class StableDiffusion:
    """SD 1.x, 2.x and whatever has their parts, the built-in pocket model included."""

    name: ClassVar[str] = "sd"
    honours: ClassVar[frozenset[str]] = frozenset(Request.model_fields) - {"temperature", "top_k", "top_p"}

    def recognise(self, index: Mapping[str, object]) -> float:
        return 1.0 if index.get("_class_name") == "StableDiffusionPipeline" else 0.0

    def plan(self, request: Request, card: Card, files: Files, machine: Machine) -> Planned:
        return sd_plan.plan(request, card, files)

    def vocabulary(self, files: Files) -> Vocabulary | None:
        return tokenizer.vocabulary(tokenizer.read(files))

    def load(self, weights: Weights, files: Files, placement: Placement) -> Module:
        from limner.models.sd_load import load_part

        return load_part(weights.part, files, placement)

    def forward(self, module: Module, part: str, batch: Mapping[str, Tensor]) -> Tensor:
        """text_encoder: ids [N, L] -> states [N, L, D]. unet: sample [N, C, h, w], timestep [N], context [N, L, D] ->
        prediction [N, C, h, w]. vae: latent [N, C, h, w] -> pixels [N, 3, H, W] in -1..1. Answers are float32."""
        import torch

        dtype = next(module.parameters()).dtype
        if part == TEXT:
            out: Tensor = module(batch["ids"])
        elif part == UNET:
            sample = batch["sample"].to(dtype, memory_format=torch.channels_last)
            out = module(sample, batch["timestep"], batch["context"].to(dtype))
        else:
            out = module.decode(batch["latent"].to(dtype, memory_format=torch.channels_last))  # type: ignore[operator]
        return out.float()

    def course(self, plan: Plan, k: int, solver: Solver | None, checkpoint: str) -> Course:
        assert solver is not None
        parts = Parts(checkpoint, plan.numerics.dtype, plan.recipe)
        return _course(parts, plan, k, solver)

    def preview(self, latent: Tensor, part: Callable[[str], Module]) -> Pixels | None:
        from limner.models.sd_load import preview

        return preview(latent, part(VAE))


@dataclass(frozen=True, slots=True)
class Parts:
    """Rows for the parts of one checkpoint. Costs are predicted FLOPs up to a factor common to all rows of a part."""

    checkpoint: str
    dtype: str
    recipe: Recipe

    def text(self, ids: Sequence[int]) -> Row:
        import torch

        return Row(self._weights(TEXT), {"ids": torch.tensor(ids)}, cost=len(ids), key=content_hash(list(ids)))

    def unet(self, x: Tensor, level: Level, context: Tensor) -> Row:
        import torch

        inputs = {"sample": x, "timestep": torch.tensor(level.t, dtype=torch.float32), "context": context}
        return Row(self._weights(UNET), inputs, cost=float(x.numel()) * 1e6)

    def vae(self, latent: Tensor, dtype: str | None = None) -> Row:
        return Row(self._weights(VAE, dtype), {"latent": latent}, cost=float(latent.numel()) * 3e6)

    def _weights(self, part: str, dtype: str | None = None) -> Weights:
        return Weights(self.checkpoint, part, dtype or self.dtype)


def _course(parts: Parts, plan: Plan, k: int, solver: Solver) -> Course:
    import torch

    from limner.sampling.noise import Noise

    recipe, seed = plan.recipe, plan.seeds[k]
    device = torch.device(plan.device)
    conditions = yield from _encode(parts, recipe)
    noise = Noise(seed.seed, recipe.latent, variation_seed=seed.variation_seed, variation=recipe.variation)
    x = noise.first().to(device) * recipe.start
    levels = [Level(*level) for level in recipe.levels]
    latent = yield from solver.solve(x, levels, _denoiser(parts, recipe, conditions), lambda: noise.next().to(device))
    return (yield from _decode(parts, latent))


class Conditions:
    """What the text says at each step: cross-attention states [L, D] by role, for guidance."""

    def __init__(self, roles: Mapping[str, Sequence[tuple[int, Tensor]]], morph: float) -> None:
        self._roles = roles
        self._morph = morph

    def at(self, step: int, role: str) -> Tensor:
        """States in force at ``step`` (1-based)."""
        stages = self._roles[role]
        return next((states for until, states in stages if step <= until), stages[-1][1])

    def positive(self, step: int) -> Tensor:
        states = self.at(step, "positive")
        if "morph_to" not in self._roles:
            return states
        import torch

        return torch.lerp(states, self.at(step, "morph_to"), self._morph)

    def negative(self, step: int) -> Tensor | None:
        return self.at(step, "negative") if "negative" in self._roles else None


def _encode(parts: Parts, recipe: Recipe) -> Generator[Ask, tuple[Tensor, ...], Conditions]:
    """Every chunk of every prompt in one Eval, each text once."""
    unique = list(dict.fromkeys(ids for stages in recipe.prompts.values() for stage in stages for ids in stage.ids))
    answers = yield Eval(tuple(parts.text(ids) for ids in unique))
    states = dict(zip(unique, answers, strict=True))
    roles = {
        role: [(stage.until, _weighted(stage, states)) for stage in stages] for role, stages in recipe.prompts.items()
    }
    return Conditions(roles, recipe.morph)


def _weighted(stage: Prompted, states: Mapping[tuple[int, ...], Tensor]) -> Tensor:
    """Chunks joined along the token axis, each token scaled by its emphasis and the mean restored, as A1111 does."""
    import torch

    joined = torch.cat([states[ids] for ids in stage.ids])
    flat = [w for chunk in stage.weights for w in chunk]
    if all(w == 1.0 for w in flat):
        return joined
    scaled = joined * torch.tensor(flat, dtype=joined.dtype, device=joined.device)[:, None]
    mean = scaled.mean()
    # A prompt weighted to nothing has no mean to restore.
    return scaled * (joined.mean() / mean) if mean.abs() > 1e-8 else scaled


def _denoiser(parts: Parts, recipe: Recipe, conditions: Conditions) -> Denoise:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598): two rows a step, one without guidance."""
    from limner.sampling.guidance import combine
    from limner.sampling.prediction import to_x0

    # Not by t: rounding makes neighbours of a Karras schedule equal in t.
    cleanness = [alpha / sigma if sigma else float("inf") for alpha, sigma, _ in recipe.levels]

    def denoise(x: Tensor, level: Level) -> Course:
        step = bisect_left(cleanness, level.alpha / level.sigma if level.sigma else float("inf")) + 1
        positive, negative = conditions.positive(step), conditions.negative(step)
        if negative is None:
            (out,) = yield Eval((parts.unet(x, level, positive),))
        else:
            uncond, cond = yield Eval((parts.unet(x, level, negative), parts.unet(x, level, positive)))
            out = combine(uncond, cond, recipe.guidance)
        return to_x0(recipe.prediction, x, out, level)

    return denoise


def _decode(parts: Parts, latent: Tensor) -> Course:
    """Latent to pixels in 0..1. A half-precision decode that overflows is done again in float32, and noted."""
    scaling, shift = float(parts.recipe.options["scaling"]), float(parts.recipe.options["shift"])
    scaled = latent / scaling + shift
    try:
        (pixels,) = yield Eval((parts.vae(scaled),))
    except NonFinite:
        if parts.dtype == "float32":
            raise
        yield Note("float32-decode", f"the decode overflowed in {parts.dtype} and was done again in float32")
        (pixels,) = yield Eval((parts.vae(scaled, "float32"),))
    return (pixels / 2 + 0.5).clamp(0, 1)
