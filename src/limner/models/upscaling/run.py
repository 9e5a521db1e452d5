"""Enlarging a picture on the engine: rows of tiles for a network, or Lanczos' filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limner.models.family import Files, Placement
from limner.models.latent.tiles import Tile, blend, tiles
from limner.sampling.course import Course, Eval, Row, Show, Weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from torch.nn import Module

PART = "upscaler/"  # before the hash of its file: the name its rows use
TILE, OVERLAP = 192, 24  # pixels of the small picture
DTYPE = "float32"  # half precision leaves bands in smooth colours


def is_upscaler(part: str) -> bool:
    return part.startswith(PART)


def load(part: str, files: Files, placement: Placement) -> Module:
    """The network that a part's name names. Raises ``ModelError``."""
    import torch

    from limner.models.upscaling.nets import load_upscaler

    return load_upscaler(files.extras[part.removeprefix(PART)], getattr(torch, placement.dtype), placement.device)


def forward(module: Module, batch: Mapping[str, Tensor]) -> Tensor:
    """pixels [N, 3, H, W] in 0..1 -> [N, 3, s * H, s * W], float32."""
    out: Tensor = module(batch["pixels"].to(next(module.parameters()).dtype))
    return out.float()


def enlarge(
    checkpoint: str, pixels: Tensor, network: str | None, size: tuple[int, int], *, shown: bool = False
) -> Course:
    """Pixels [3, H, W] in 0..1 at ``size`` (width, height): by the network with that hash, brought to the size by
    Lanczos' filter where it makes another; by the filter alone where there is none. ``shown``: tiles are its steps."""
    if network is not None:
        pixels = yield from _through(checkpoint, pixels, network, shown)
    elif shown:
        yield Show(1, 1)
    if pixels.shape[-2:] == (size[1], size[0]):
        return pixels
    return lanczos(pixels, size)


def _through(checkpoint: str, pixels: Tensor, network: str, shown: bool) -> Course:
    weights = Weights(checkpoint, PART + network, DTYPE)
    height, width = pixels.shape[-2:]
    placed, scale = [], 1
    cut_into = tiles(height, width, TILE, OVERLAP)
    for step, tile in enumerate(cut_into, start=1):
        cut = pixels[:, tile.top : tile.bottom, tile.left : tile.right].contiguous()
        (made,) = yield Eval((Row(weights, {"pixels": cut}, cost=float(cut.numel()) * 1e6),))
        scale = made.shape[-1] // cut.shape[-1]
        placed.append((Tile(*(side * scale for side in tile)), made))
        if shown:
            yield Show(step, len(cut_into))
    return blend(height * scale, width * scale, placed, OVERLAP * scale).clamp(0, 1)


def lanczos(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels [3, H, W] in 0..1 at ``size`` (width, height), in 8 bits as every picture is."""
    from PIL import Image

    return from_image(to_image(pixels).resize(size, Image.Resampling.LANCZOS), pixels)


def to_image(pixels: Tensor) -> Image:
    """An 8-bit picture of [3, H, W] in 0..1."""
    import torch
    from PIL import Image

    eight = pixels.clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(eight.permute(1, 2, 0).contiguous().cpu().numpy())


def from_image(image: Image, like: Tensor) -> Tensor:
    """[3, H, W] in 0..1, float32, on the device of ``like``."""
    import numpy as np
    import torch

    return torch.from_numpy(np.array(image)).to(like.device).permute(2, 0, 1).float() / 255


if TYPE_CHECKING:
    from PIL.Image import Image
