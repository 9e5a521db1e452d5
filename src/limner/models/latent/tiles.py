"""Large pictures piece by piece: overlapping tiles whose seams fade into each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

TILE, OVERLAP = 64, 16  # latent cells: 512 and 128 pixels of Stable Diffusion's autoencoder


class Tile(NamedTuple):
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` of a map."""

    top: int
    bottom: int
    left: int
    right: int


def tiles(height: int, width: int, size: int, overlap: int) -> list[Tile]:
    """Tiles of at most ``size`` a side that cover the map, neighbours sharing at least ``overlap``."""
    return [Tile(*rows, *columns) for rows in spans(height, size, overlap) for columns in spans(width, size, overlap)]


def spans(length: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Evenly placed spans of ``size`` that cover 0 to ``length``; one where it fits into one."""
    if length <= size:
        return [(0, length)]
    count = -(-(length - overlap) // (size - overlap))
    starts = [round(k * (length - size) / (count - 1)) for k in range(count)]
    return [(start, start + size) for start in starts]


def blend(height: int, width: int, placed: Sequence[tuple[Tile, Tensor]], overlap: int) -> Tensor:
    """One map [C, height, width], float32, of tiles [C, ...]: where tiles overlap, a mean that favours each one's own
    middle, so that no edge shows."""
    import torch

    first = placed[0][1]
    total = first.new_zeros((first.shape[0], height, width), dtype=torch.float32)
    weight = first.new_zeros((1, height, width), dtype=torch.float32)
    for tile, pixels in placed:
        rows = _ramp(tile.top, tile.bottom, height, overlap).to(first.device)
        columns = _ramp(tile.left, tile.right, width, overlap).to(first.device)
        share = rows[:, None] * columns[None, :]
        where = (slice(None), slice(tile.top, tile.bottom), slice(tile.left, tile.right))
        total[where] += pixels.float() * share
        weight[where] += share
    return total / weight


def _ramp(low: int, high: int, length: int, overlap: int) -> Tensor:
    """Weights of a tile along one axis: rising over ``overlap`` at an inner edge, 1 at the picture's own."""
    import torch

    ramp = torch.ones(high - low)
    steps = min(overlap, high - low)
    if steps == 0:
        return ramp
    rise = (torch.arange(steps) + 1) / (steps + 1)
    if low > 0:
        ramp[:steps] = rise
    if high < length:
        ramp[-steps:] = torch.minimum(ramp[-steps:], rise.flip(0))
    return ramp
