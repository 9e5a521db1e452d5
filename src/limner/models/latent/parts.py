"""Rows for the parts of one checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.canonical import content_hash
from limner.sampling.course import Level, Row, Weights
from limner.types import Recipe

if TYPE_CHECKING:
    from torch import Tensor

TEXT, UNET, VAE = "text_encoder", "unet", "vae"


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
