"""What a run will take, said before it starts: memory by counting, time by one trial step."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from limner.errors import OutOfMemory, StorageError
from limner.tune.data import batch_at
from limner.tune.networks import Networks

if TYPE_CHECKING:
    from limner.models.machine import Machine

BYTES = {torch.float32: 4, torch.bfloat16: 2, torch.float16: 2}
PER_WEIGHT = 16  # of what is learnt, float32: value, gradient, two moments
RUNTIME = 300 << 20  # torch itself, about
MARGIN = 1.15
SPARE_DISK = 64 << 20


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes at the peak of training, of it ``activations``; seconds a step and of all that is left; bytes on disk."""

    weights: int
    learnt: int
    activations: int
    step_seconds: float
    seconds: float
    disk: int

    @property
    def memory(self) -> int:
        return int((self.weights + self.learnt + self.activations) * MARGIN) + RUNTIME


def cost_of(networks: Networks, left: int, *, sampled: int) -> Cost:
    """Measured on the networks as they are. One step's forward and backward pass are run, and its gradients thrown
    away; ``left`` steps are to be trained, and ``sampled`` further copies of the base drawn with meanwhile."""
    parameters = networks.parameters
    learnt = sum(each.numel() for each in parameters.values())
    weights = sum(_bytes(each) for each in networks.modules) - learnt * 4
    copies = (2 if networks.settings.ema else 1) + (1 if networks.data.held else 0)
    kept, seconds = _trial(networks)
    each = seconds * networks.settings.accumulate
    return Cost(
        weights=weights * (1 + sampled),
        learnt=learnt * (PER_WEIGHT + 4 * (copies - 1)),
        activations=kept,
        step_seconds=each,
        seconds=each * left,
        disk=learnt * 4 * (3 + copies) * 2 + learnt * 2,
    )


def _bytes(module: nn.Module) -> int:
    return sum(each.numel() * each.element_size() for each in module.parameters())


def _trial(networks: Networks) -> tuple[int, float]:
    """(bytes kept for the way back, seconds) of one forward and backward pass. The first is not timed: kernels and
    pages come with it."""
    kept: dict[int, int] = {}
    owned = {each.untyped_storage().data_ptr() for module in networks.modules for each in module.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    settings, seconds = networks.settings, 0.0
    for turn in range(2):
        batch = batch_at(
            networks.data,
            1,
            0,
            size=settings.batch,
            parts=settings.accumulate,
            seed=settings.seed,
            timesteps=networks.noising.steps,
            drop=0.0,
            prior_weight=settings.prior_weight,
        )
        started = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = networks.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        if settings.device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        for each in networks.parameters.values():
            each.grad = None
        if turn == 0 and seconds > 20:
            break  # one is enough where it takes so long
    return sum(kept.values()), seconds


def refuse_too_large(cost: Cost, machine: Machine, device: str, folder: Path) -> None:
    """Raises ``OutOfMemory`` where it cannot fit, ``StorageError`` where the disk has too little room."""
    gpu = machine.gpu(device) if device.startswith("cuda") else None
    there = gpu.memory if gpu is not None else min(machine.ram_total, machine.ram_limit or machine.ram_total)
    if cost.memory > there:
        raise OutOfMemory(
            f"training needs about {cost.memory / 2**30:.1f} GiB, and {device} has {there / 2**30:.1f} GiB",
            hint="--checkpointing, --dtype bfloat16, a smaller --batch with --accumulate, or a smaller --size",
        )
    free = shutil.disk_usage(folder).free
    if cost.disk + SPARE_DISK > free:
        raise StorageError(
            f"training writes about {cost.disk / 2**20:.0f} MiB, and {folder} has {free / 2**20:.0f} MiB left",
            hint="free some space, or give --out on another disk",
        )
