"""Rows for the parts of one checkpoint, and what the words tell its network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from limner.canonical import content_hash
from limner.models.adapters.worn import SCALES, Wardrobe
from limner.sampling.course import Level, Row, Weights
from limner.types import Recipe

if TYPE_CHECKING:
    from torch import Tensor

TEXT, TEXT_2, UNET, VAE = "text_encoder", "text_encoder_2", "unet", "vae"
ROLE_SUFFIX = {TEXT: "", TEXT_2: "_2"}
"""A role of ``Recipe.prompts`` holds what one encoder reads: ``positive`` the first's chunks, ``positive_2`` the
second's. XL's refiner has the second only."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the words tell the network: ``states`` [L, D] of their tokens; for XL also the ``pooled`` text [P], and for
    its refiner the aesthetic ``score`` it is to reach for."""

    states: Tensor
    pooled: Tensor | None = None
    score: float | None = None

    def toward(self, other: Condition, share: float) -> Condition:
        """``share`` of the way to another condition of the same shape."""
        import torch

        pooled = None
        if self.pooled is not None and other.pooled is not None:
            pooled = torch.lerp(self.pooled, other.pooled, share)
        return Condition(torch.lerp(self.states, other.states, share), pooled, self.score)

    def silent(self, score: float | None) -> Condition:
        """All zeros in the same shape: what XL was trained to take for no words at all."""
        pooled = None if self.pooled is None else self.pooled * 0
        return Condition(self.states * 0, pooled, score)


@dataclass(frozen=True, slots=True)
class Parts:
    """Rows for the parts of one checkpoint. Costs are predicted FLOPs up to a factor common to all rows of a part.
    ``wardrobe`` says which adapters each part wears."""

    checkpoint: str
    dtype: str
    recipe: Recipe
    wardrobe: Wardrobe = field(default_factory=Wardrobe)

    def text(self, ids: Sequence[int], part: str = TEXT) -> Row:
        """Answered with the tokens' states [L, D]; by the second encoder with those and the pooled text, flattened."""
        import torch

        inputs = {"ids": torch.tensor(ids), **self._scales(part)}
        if skip := int(self.recipe.options.get("clip_skip", 1)) - 1:
            inputs["skip"] = torch.tensor(skip)
        return Row(
            self._weights(part),
            inputs,
            cost=len(ids),
            key=content_hash([list(ids), skip, *self.wardrobe.of(part).scales]),
        )

    def unet(self, x: Tensor, level: Level, condition: Condition, beside: Tensor | None = None) -> Row:
        """Answered with the prediction [C, h, w]. ``beside`` [C', h, w] are further channels of the input: the mask and
        the masked picture of an inpainting network."""
        import torch

        sample = x if beside is None else torch.cat((x, beside.to(x)))
        inputs = {
            "sample": sample,
            "timestep": torch.tensor(level.t, dtype=torch.float32),
            "context": condition.states,
            **self._told(x, condition),
            **self._scales(UNET),
        }
        return Row(self._weights(UNET), inputs, cost=float(x.numel()) * 1e6)

    def vae(self, latent: Tensor, dtype: str | None = None) -> Row:
        """Answered with pixels [3, H, W] in -1..1 of a latent [C, h, w] that is unscaled already."""
        return Row(self._weights(VAE, dtype or self.vae_dtype), {"latent": latent}, cost=float(latent.numel()) * 3e6)

    def encoder(self, pixels: Tensor, dtype: str | None = None) -> Row:
        """Answered with mean and log-variance [2 * C, h, w], not scaled yet, of pixels [3, H, W] in -1..1."""
        return Row(self._weights(VAE, dtype or self.vae_dtype), {"pixels": pixels}, cost=float(pixels.numel()) * 1e5)

    @property
    def vae_dtype(self) -> str:
        """The autoencoder's dtype: float32 where float16 is known to overflow in it, else the plan's."""
        upcast = bool(self.recipe.options.get("force_upcast", False)) and self.dtype == "float16"
        return "float32" if upcast else self.dtype

    def _told(self, x: Tensor, condition: Condition) -> dict[str, Tensor]:
        """XL's micro-conditioning (Podell et al. 2023, section 2.2): the picture as large as it is drawn, not cropped.
        A consistency model is told the guidance to imitate (Luo et al. 2023)."""
        import torch

        told: dict[str, Tensor] = {}
        options = self.recipe.options
        if condition.pooled is not None:
            factor = int(options["factor"])
            size = [float(side * factor) for side in x.shape[-2:]]
            rest = size if condition.score is None else [condition.score]
            told = {"pooled": condition.pooled, "numbers": torch.tensor([*size, 0.0, 0.0, *rest])}
        if "guidance_told" in options:
            told["guidance"] = torch.tensor(float(options["guidance_told"]))
        return told

    def _weights(self, part: str, dtype: str | None = None) -> Weights:
        return Weights(self.checkpoint, part, dtype or self.dtype, self.wardrobe.of(part).names)

    def _scales(self, part: str) -> dict[str, Tensor]:
        """How strongly each LoRA of the part acts on the row."""
        import torch

        scales = self.wardrobe.of(part).scales
        return {SCALES: torch.tensor(scales, dtype=torch.float32)} if scales else {}
