"""What a picture will cost, from config files alone: memory by part, operations, and what leaves memory for what.

Torch-free. The counts come from :mod:`limner.models.estimates.nets`; seconds are put on top of them by
:mod:`limner.models.estimates.time`, which needs to know how fast the machine is.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from limner.errors import LimnerError
from limner.models.estimates import dalle as estimate_dalle
from limner.models.estimates.latent import BYTES, Config, part, parts_of
from limner.models.machine import Machine, choose_device, choose_dtype, usable_memory
from limner.models.nets.dalle_configs import DalleConfig, VqganConfig
from limner.types import Dtype, Estimate, PartCost, Recipe, Request

RUNTIME = 200_000_000  # anonymous bytes of Python and torch in a process on the CPU; measured with torch 2.13
KEPT = 150_000_000  # bytes of freed work that the C library's allocator holds on to, at most, about; measured

Key = TypeVar("Key", bound=Hashable)


class Peak(NamedTuple):
    """``bytes`` in use at the worst moment, and the parts that leave memory for others, in the order they do."""

    bytes: int
    offload: tuple[str, ...]


def latent(recipe: Recipe, configs: Mapping[str, Config], request: Request, machine: Machine) -> Estimate:
    """Of a model with text encoders, a UNet and an autoencoder: ``configs`` by part. Nothing where a config is one that
    cannot be counted. Raises ``DeviceError``."""
    device, dtype = _numbers(request, machine)
    try:
        parts = parts_of(recipe, configs, dtype)
    except LimnerError:  # said where the part is loaded
        return Estimate()
    return of_parts(parts, device, machine)


def dalle_mini(recipe: Recipe, dalle: DalleConfig, vqgan: VqganConfig, request: Request, machine: Machine) -> Estimate:
    """Of the pictures of a request together; operations are those of one. Raises ``DeviceError``."""
    device, dtype = _numbers(request, machine)
    branches, pictures = len(recipe.prompts), min(request.n, 16)
    writer, drawer = estimate_dalle.writer(dalle, branches, pictures), estimate_dalle.drawer(vqgan)
    # On the CPU keys and values are kept in float32 whatever the weights are.
    work = writer.peak * (BYTES["float32"] if device == "cpu" else BYTES[dtype])
    weights = writer.parameters * BYTES[dtype]
    parts = (
        PartCost(
            name="dalle",
            weights_bytes=weights,
            work_bytes=work,
            flops=float(writer.flops) / pictures,
            calls=dalle.image_length,
        ),
        part("vqgan", drawer, dtype),
    )
    return of_parts(parts, device, machine)


def of_files(sizes: Mapping[str, int], request: Request, machine: Machine, *, values: bool = False) -> Estimate:
    """Of a model of which only the weights of its parts are known: no peak, no time. ``sizes`` are bytes as they are
    stored, or with ``values`` the number of them."""
    device, dtype = _numbers(request, machine)
    each = BYTES[dtype] if values else 1
    return of_parts([PartCost(name=name, weights_bytes=size * each) for name, size in sizes.items()], device, machine)


def of_parts(parts: Sequence[PartCost], device: str, machine: Machine) -> Estimate:
    """The memory of parts that run one after the other."""
    worst = None
    if parts and all(each.work_bytes is not None for each in parts):
        worst = peak(parts, usable_memory(device, machine), device)
    return Estimate(
        weights_bytes=sum(each.weights_bytes for each in parts),
        peak_bytes=None if worst is None else worst.bytes,
        parts=tuple(parts),
        offload=() if worst is None else worst.offload,
    )


def peak(parts: Sequence[PartCost], usable: int, device: str = "cpu") -> Peak:
    """The most memory that drawing takes in ``usable`` bytes: as the engine does it, over two pictures."""
    runtime = runtime_bytes(device, parts)
    held: dict[str, int] = {}
    left: dict[str, None] = {}
    worst = 0
    for each in [*parts, *parts]:
        held.pop(each.name, None)
        need = each.weights_bytes + (each.work_bytes or 0)
        for name in leaving(held, need, usable - runtime):
            del held[name]
            left[name] = None
        held[each.name] = each.weights_bytes
        worst = max(worst, runtime + sum(held.values()) + (each.work_bytes or 0))
    return Peak(worst, tuple(left))


def leaving(held: Mapping[Key, int], need: int, budget: int) -> list[Key]:
    """Which of ``held`` (bytes by name, least recently used first) leave so that ``need`` bytes fit into ``budget``.

    All of them where even that is not enough; none where it fits as it is.
    """
    total, names = sum(held.values()), list[Key]()
    for name, size in held.items():
        if total + need <= budget:
            break
        names.append(name)
        total -= size
    return names


def runtime_bytes(device: str, parts: Sequence[PartCost] = ()) -> int:
    """What the process takes besides the weights and work of ``parts``, where that counts: on the CPU."""
    work = max((each.work_bytes or 0 for each in parts), default=KEPT)
    return RUNTIME + min(work, KEPT) if device == "cpu" else 0


def _numbers(request: Request, machine: Machine) -> tuple[str, Dtype]:
    device = choose_device(request.device, machine)
    return device, choose_dtype(request.dtype, device, machine).dtype
