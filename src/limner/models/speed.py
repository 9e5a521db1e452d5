"""How fast a device multiplies matrices in a number format: what drawing mostly is."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from limner.errors import DeviceError
from limner.types import Dtype

SIDE = 1024
MIN_S = 0.3
_WARM_UP = 2


@dataclass(frozen=True, slots=True)
class Speed:
    """``tflops``: 10^12 multiply-adds, counted as two operations each, a second; ``threads`` of the CPU in use."""

    device: str
    dtype: Dtype
    tflops: float
    threads: int


def matmul(device: str, dtype: Dtype, *, side: int = SIDE, min_s: float = MIN_S) -> Speed:
    """Time ``side`` x ``side`` matrix products for about ``min_s`` seconds. Raises ``DeviceError``."""
    try:
        a = torch.ones(side, side, device=device, dtype=getattr(torch, dtype)) / side
        for _ in range(_WARM_UP):
            a = a @ a
        _finish(device)
        products, begin = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - begin) < min_s:
            a = a @ a
            products += 1
            _finish(device)
    except (RuntimeError, AssertionError, TypeError) as error:
        hint = "limner doctor lists devices; update the driver or the torch build if this one is among them"
        raise DeviceError(f"torch cannot compute on {device} in {dtype}: {_first_line(error)}", hint=hint) from error
    return Speed(device, dtype, 2 * side**3 * products / elapsed / 1e12, torch.get_num_threads())


def _finish(device: str) -> None:
    """Wait for what was queued: GPUs answer before they have computed."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
