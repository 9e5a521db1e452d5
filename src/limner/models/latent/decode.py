"""From latent to pixels and back, whole or in tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from limner.errors import NonFinite
from limner.models.latent.parts import Parts
from limner.models.latent.tiles import Tile, blend, tiles
from limner.sampling.course import Course, Eval, Note, Row

if TYPE_CHECKING:
    from torch import Tensor


def decode(parts: Parts, latent: Tensor) -> Course:
    """Latent [C, h, w] to pixels [3, H, W] in 0..1, in tiles where the plan says so.

    A half-precision decode that overflows is done again in float32, and noted.
    """
    scaled = latent / _scaling(parts) + _shift(parts)
    pixels = yield from _tiled(parts, scaled) if "tile" in parts.recipe.options else _safely(parts, parts.vae, scaled)
    return (pixels / 2 + 0.5).clamp(0, 1)


def encode_picture(parts: Parts, pixels: Tensor, drawn: Callable[[], Tensor], key: str | None = None) -> Course:
    """Pixels [3, H, W] in -1..1 to a latent [C, h, w]: the encoder's mean, and its spread times what is ``drawn``.

    ``key`` names the picture where several images of a request may start from its encoding.
    """
    import torch

    def row(each: Tensor, dtype: str | None = None) -> Row:
        found = parts.encoder(each, dtype)
        return found if key is None else replace(found, key=key)

    moments = yield from (
        _tiled_moments(parts, pixels) if "tile" in parts.recipe.options else _safely(parts, row, pixels)
    )
    mean, logvar = moments.chunk(2)
    latent = mean + torch.exp(0.5 * logvar) * drawn().to(mean)
    return (latent - _shift(parts)) * _scaling(parts)


def _safely(parts: Parts, row: Callable[..., Row], value: Tensor) -> Course:
    """One row's answer; again in float32 where half precision overflowed."""
    try:
        (answer,) = yield Eval((row(value),))
    except NonFinite:
        if parts.vae_dtype == "float32":
            raise
        yield Note("float32-decode", f"the autoencoder overflowed in {parts.vae_dtype} and was asked again in float32")
        (answer,) = yield Eval((row(value, "float32"),))
    return answer


def _tiled(parts: Parts, scaled: Tensor) -> Course:
    """One row a tile, one after the other: never more than a tile's activations at a time."""
    height, width = scaled.shape[-2:]
    placed, factor = [], 1
    for tile in tiles(height, width, _tile(parts), _overlap(parts)):
        pixels = yield from _safely(parts, parts.vae, _cut(scaled, tile))
        factor = pixels.shape[-1] // (tile.right - tile.left)
        placed.append((_times(tile, factor), pixels))
    return blend(height * factor, width * factor, placed, _overlap(parts) * factor)


def _tiled_moments(parts: Parts, pixels: Tensor) -> Course:
    _, h, w = parts.recipe.latent
    factor = pixels.shape[-1] // w
    placed = []
    for tile in tiles(h, w, _tile(parts), _overlap(parts)):
        moments = yield from _safely(parts, parts.encoder, _cut(pixels, _times(tile, factor)))
        placed.append((tile, moments))
    return blend(h, w, placed, _overlap(parts))


def _cut(whole: Tensor, tile: Tile) -> Tensor:
    return whole[:, tile.top : tile.bottom, tile.left : tile.right].contiguous()


def _times(tile: Tile, factor: int) -> Tile:
    return Tile(*(side * factor for side in tile))


def _tile(parts: Parts) -> int:
    return int(parts.recipe.options["tile"])


def _overlap(parts: Parts) -> int:
    return int(parts.recipe.options["tile_overlap"])


def _scaling(parts: Parts) -> float:
    return float(parts.recipe.options["scaling"])


def _shift(parts: Parts) -> float:
    return float(parts.recipe.options["shift"])
