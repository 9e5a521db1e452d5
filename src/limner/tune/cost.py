"""What a run will take, said before anything is loaded or written: memory and disk by counting, time by one trial
step."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from limner.errors import OutOfMemory, StorageError
from limner.models.machine import usable_memory
from limner.models.state import RUNTIME as DRAWING_RUNTIME
from limner.tune.base import UNET, Base
from limner.tune.caching import AT_ONCE
from limner.tune.data import HELD_TIMESTEPS
from limner.tune.foresight import Foreseen, foresee
from limner.tune.layers import adapt, checkpointed, trained
from limner.tune.settings import TuneSettings

if TYPE_CHECKING:
    from limner.models.machine import Machine
    from limner.models.nets.unet import UNet
    from limner.types import Plan

PER_WEIGHT = 16  # bytes of what is learnt, float32: value, gradient, two moments
RUNTIME = 500 << 20  # torch, its kernels, peft with what it imports, and this program, as measured
RETAINED = 160 << 20  # of what comes first, at most: freed, and not given back to the system, as measured
MARGIN = 1.15
SPARE_DISK = 64 << 20
LONG = 20.0  # seconds after which one trial step is enough
LESS = "--checkpointing, --dtype bfloat16, a smaller --batch with --accumulate, or a smaller --size"


@dataclass(frozen=True, slots=True)
class Work:
    """Steps, pictures to encode and held out; the plans of class pictures to draw and of samples."""

    steps: int
    pictures: int
    held: int
    drawn: Sequence[Plan] = ()
    samples: Sequence[Plan] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes while it trains: of the base's ``weights``, of what is ``learnt``, of ``activations``, of a second copy of
    the base that samples are ``drawing`` with; bytes ``before`` that, while pictures are drawn and encoded. Seconds a
    step and of all that is left; bytes on disk. ``numbers`` are learnt."""

    numbers: int
    weights: int
    learnt: int
    activations: int
    drawing: int
    before: int
    step_seconds: float
    seconds: float
    disk: int

    @property
    def memory(self) -> int:
        """At the peak."""
        training = int((self.weights + self.learnt + self.activations) * MARGIN) + self.drawing
        less, more = sorted((training, self.before))
        return more + min(less, RETAINED) + RUNTIME


def cost_of(base: Base, settings: TuneSettings, side: int, work: Work, *, device_free: int | None = None) -> Cost:
    """Counted on shapes, then tried: one step's forward and backward pass, thrown away. With ``device_free`` bytes too
    few nothing is tried; ``step_seconds`` and ``seconds`` are 0 then."""
    foreseen = foresee(base, settings, side, pixels=AT_ONCE)
    copies = (1 if settings.ema else 0) + (1 if work.held else 0)
    alone = 0 if settings.device.startswith("cuda") else DRAWING_RUNTIME  # a picture's estimate counts it
    drawing = max((plan.estimate.peak_bytes or 0 for plan in work.drawn), default=0)
    sampling = max((plan.estimate.peak_bytes or 0 for plan in work.samples), default=0)
    cost = Cost(
        numbers=foreseen.learnt,
        weights=foreseen.weights,
        learnt=foreseen.learnt * (PER_WEIGHT + 4 * copies),
        activations=foreseen.kept + foreseen.passing,
        drawing=max(0, sampling - alone),
        before=max(int(foreseen.encoding * MARGIN), drawing - alone),
        step_seconds=0.0,
        seconds=0.0,
        disk=foreseen.learnt * 4 * (3 + copies) * 2 + foreseen.learnt * 2,
    )
    if device_free is not None and cost.memory > device_free:
        return cost
    each = trial(base, settings, side) * settings.accumulate
    return replace(cost, step_seconds=each, seconds=_seconds(foreseen, settings, work, each))


def _seconds(foreseen: Foreseen, settings: TuneSettings, work: Work, step: float) -> float:
    """Of everything, the operations that are not training's at the rate of those that are."""
    rows = settings.batch * (2 if settings.prior else 1)
    rate = foreseen.flops * settings.accumulate / max(step, 1e-9)
    looks = (1 + work.steps // settings.check_every) if work.held else 0
    looking = looks * work.held * HELD_TIMESTEPS * foreseen.flops / (3 * rows)
    encoding = work.pictures * foreseen.encoding_flops
    drawing = sum(plan.estimate.seconds_per_image or 0.0 for plan in (*work.drawn, *work.samples))
    return step * work.steps + (looking + encoding) / rate + drawing


def trial(base: Base, settings: TuneSettings, side: int) -> float:
    """Seconds of a forward and backward pass of one batch through the denoiser. The first is not timed where it is
    short: kernels and pages come with it. Raises ``OutOfMemory``."""
    try:
        return _trial(base, settings, side // base.configs.factor)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(f"one step does not fit into the memory of {settings.device}", hint=LESS) from error


@torch.enable_grad()
def _trial(base: Base, settings: TuneSettings, cells: int) -> float:
    unet = cast("UNet", base.load(UNET, settings.device, settings.dtype))
    adapt(unet, UNET, settings)
    if settings.checkpointing:
        checkpointed(unet)
    rows, config = settings.batch * (2 if settings.prior else 1), unet.config
    like = unet.conv_in.weight
    sample = like.new_zeros(rows, config.in_channels, cells, cells).to(memory_format=torch.channels_last)
    words = like.new_zeros(rows, base.length, config.cross_attention_dim)
    told = {name: like.new_zeros(rows, width) for name, width in base.told.items()}
    t, seconds = torch.zeros(rows, device=settings.device), 0.0
    for _ in range(2):
        started = time.perf_counter()
        unet(sample, t, words, **told).float().square().mean().backward()
        if settings.device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        for each in trained(unet).values():
            each.grad = None
        if seconds > LONG:
            break
    return seconds


def refuse_too_large(cost: Cost, machine: Machine, device: str, folder: Path) -> None:
    """Raises ``OutOfMemory`` where it does not fit beside what is in use, ``StorageError`` where the disk has too
    little room."""
    there = usable_memory(device, machine)
    if cost.memory > there:
        raise OutOfMemory(
            f"training needs about {cost.memory / 2**30:.1f} GiB, and {device} has {there / 2**30:.1f} GiB free",
            hint=LESS,
        )
    free = shutil.disk_usage(next(each for each in (folder, *folder.absolute().parents) if each.is_dir())).free
    if cost.disk + SPARE_DISK > free:
        raise StorageError(
            f"training writes about {cost.disk / 2**20:.0f} MiB, and {folder} has {free / 2**20:.0f} MiB left",
            hint="free some space, or give --out on another disk",
        )


def peak_memory(device: str) -> int | None:
    """Bytes that this process has had at most: of the GPU where it is on one, else resident. ``None``: not known."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_reserved(device))
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


__all__ = ["Cost", "Work", "cost_of", "peak_memory", "refuse_too_large", "trial"]
