"""What would fit where a picture does not: another number format, a decode in tiles, a smaller size. Torch-free.

These change pixels (or their number), so they are offered with their figures and never done unasked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from limner.models.estimates.estimate import peak
from limner.models.estimates.latent import BYTES, VAE
from limner.models.latent.tiles import TILE
from limner.models.machine import Machine, gigabytes, native_dtypes, usable_memory
from limner.types import PartCost, Plan

STEP = 64  # pixels; sizes are offered in these
LEAST_SIDE = 256
FREE_SIZE = ("sd", "sdxl")  # families whose work grows with the picture's area


@dataclass(frozen=True, slots=True)
class Offer:
    """An option of the command line, the peak with it in bytes, and whether that fits."""

    option: str
    peak_bytes: int
    fits: bool

    def text(self) -> str:
        """``--dtype bfloat16 (4.1 GB)``."""
        return f"{self.option} ({gigabytes(self.peak_bytes)})"


def offers(plan: Plan, machine: Machine) -> tuple[Offer, ...]:
    """What would take less memory than the plan, least change first; nothing where its parts are not known."""
    parts = plan.estimate.parts
    if not parts or any(each.work_bytes is None for each in parts):
        return ()
    usable = usable_memory(plan.device, machine)
    now = peak(parts, usable, plan.device).bytes

    def offer(option: str, changed: Sequence[PartCost]) -> Offer:
        needed = peak(changed, usable, plan.device).bytes
        return Offer(option, needed, needed <= usable)

    found = [offer(option, changed) for option, changed in _changes(plan, machine)]
    smaller = _size(plan, usable)
    return tuple(each for each in (*found, *smaller) if each.peak_bytes < now)


def _changes(plan: Plan, machine: Machine) -> Iterator[tuple[str, Sequence[PartCost]]]:
    parts, dtype = plan.estimate.parts, plan.numerics.dtype
    for other in native_dtypes(plan.device, machine):
        if BYTES[other] < BYTES[dtype]:
            yield f"--dtype {other}", [_scaled(each, BYTES[other] / BYTES[dtype], weights=True) for each in parts]
            break
    _, height, width = (plan.recipe.second or plan.recipe).latent
    if plan.recipe.family in FREE_SIZE and "tile" not in plan.recipe.options and height * width > TILE * TILE:
        share = TILE * TILE / (height * width)
        yield "--tiled", [_scaled(each, share) if each.name == VAE else each for each in parts]


def _size(plan: Plan, usable: int) -> Iterator[Offer]:
    """The largest size of the same shape that fits."""
    if plan.recipe.family not in FREE_SIZE:
        return
    width, height = plan.recipe.width, plan.recipe.height
    sides: Mapping[int, None] = dict.fromkeys(range(STEP * math.ceil(max(width, height) / STEP) - STEP, 0, -STEP))
    for side in sides:
        scale = side / max(width, height)
        near = [max(STEP * round(each * scale / STEP), STEP) for each in (width, height)]
        if min(near) < min(LEAST_SIDE, width, height):
            return
        share = near[0] * near[1] / (width * height)
        needed = peak([_scaled(each, share) for each in plan.estimate.parts], usable, plan.device).bytes
        if needed <= usable:
            yield Offer(f"--size {near[0]}x{near[1]}", needed, True)
            return


def _scaled(part: PartCost, share: float, *, weights: bool = False) -> PartCost:
    text = part.name.startswith("text_encoder") and not weights  # reads words, whatever the picture's size
    return part.model_copy(
        update={
            "work_bytes": part.work_bytes if text else int((part.work_bytes or 0) * share),
            "weights_bytes": int(part.weights_bytes * share) if weights else part.weights_bytes,
        }
    )
