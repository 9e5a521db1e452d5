"""Seconds for counted operations: by what this machine was seen to do, else by a table of what such machines do.

Torch-free. ``Rates`` remembers in a small file how fast each kind of network ran here; drawing writes it and planning
reads it. Every estimate says which of the two it goes by, and gives a range.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from limner.models.machine import Machine
from limner.types import Dtype, Estimate, PartCost

GIGA = 1e9
LEAST_FLOPS = 1e9  # of a picture's part; below, what is measured is not its products
LARGE_CALL, SMALL_SLOWER = 1e11, 0.3  # operations; measured between a call of 10^9 and one of 10^12
KEEP = 0.5  # weight of the newest observation
MEASURED_SPREAD, TABLE_SPREAD, DECADE_SPREAD = 1.3, 3.0, 1.5
# What networks reach of the speed of large matrix products.
EFFICIENCY: Mapping[str, float] = {"unet": 0.5, "vae": 0.6, "text_encoder": 0.3, "dalle": 0.05, "vqgan": 0.5}
# Operations a second of large matrix products, in 10^9: of one core by its instructions, first match; of GPUs by their
# generation. Rough on purpose: a table knows no clock, cooling or neighbours.
CPU_CORE: tuple[tuple[str, Dtype, float], ...] = (
    ("amx_bf16", "bfloat16", 900.0),
    ("avx512_bf16", "bfloat16", 350.0),
    ("neon_bf16", "bfloat16", 100.0),
    ("avx512f", "float32", 120.0),
    ("avx2", "float32", 60.0),
    ("neon", "float32", 30.0),
)
CPU_LEAST = 10.0
GPU: tuple[tuple[tuple[int, int], float, float], ...] = (  # capability; 16-bit, float32
    ((9, 0), 500_000.0, 50_000.0),
    ((8, 0), 100_000.0, 20_000.0),
    ((7, 0), 40_000.0, 8_000.0),
    ((0, 0), 5_000.0, 5_000.0),
)
MPS = 3_000.0


class Rate(NamedTuple):
    """Operations a second; ``spread``: the truth is thought to lie within that factor; ``measured`` here or not."""

    flops: float
    spread: float
    measured: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where networks run: the device's name and the number format; on a CPU also how many threads were asked for."""

    device: str
    dtype: Dtype
    threads: str = ""

    @classmethod
    def of(cls, device: str, dtype: Dtype, machine: Machine) -> Place:
        gpu = machine.gpu(device)
        name = gpu.name if gpu is not None else machine.cpu or machine.arch if device == "cpu" else device
        return cls(name, dtype, os.environ.get("OMP_NUM_THREADS", "") if device == "cpu" else "")

    def key(self, kind: str, flops_per_call: float) -> str:
        """Small calls are slower for each operation, so calls are told apart by their power of ten."""
        return "|".join((self.device, self.dtype, self.threads, kind, str(_decade(flops_per_call))))


class Rates:
    """How fast networks ran here: a small JSON file. A broken or missing one is as an empty one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def find(self, place: Place, kind: str, flops_per_call: float) -> Rate | None:
        """The rate seen for calls of about that size; one of another size is trusted less."""
        known = self._read()
        here = _decade(flops_per_call)
        for distance in range(4):
            for decade in dict.fromkeys((here - distance, here + distance)):
                if rate := known.get(place.key(kind, 10.0**decade)):
                    return Rate(rate, MEASURED_SPREAD * DECADE_SPREAD**distance, True)
        return None

    def learn(self, place: Place, parts: tuple[PartCost, ...], seconds: Mapping[str, float]) -> None:
        """Remember what a picture took: ``seconds`` by part. What cannot be written is not."""
        seen = {
            place.key(each.name, each.flops / each.calls): each.flops / seconds[each.name]
            for each in parts
            if each.flops is not None and each.calls and each.flops >= LEAST_FLOPS and seconds.get(each.name, 0) > 0
        }
        if not seen:
            return
        with self._lock:
            known = self._read()
            for key, rate in seen.items():
                known[key] = rate if key not in known else math.exp(_mixed(math.log(known[key]), math.log(rate)))
            self._write(known)

    def _read(self) -> dict[str, float]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {
            str(key): float(rate)
            for key, rate in found.items()
            if isinstance(rate, int | float) and not isinstance(rate, bool) and 0 < rate < 1e18
        }

    def _write(self, known: Mapping[str, float]) -> None:
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(known, indent=1, sort_keys=True), "utf-8")
            temporary.replace(self._path)
        except OSError:  # a full disk or a folder that is not ours costs a better guess, no picture
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def timed(estimate: Estimate, device: str, dtype: Dtype, machine: Machine, rates: Rates) -> Estimate:
    """The estimate with seconds a picture, by rates seen here where there are any. Loading is not in it."""
    counted = [each for each in estimate.parts if each.flops is not None and each.calls]
    if not counted or len(counted) < len(estimate.parts):
        return estimate
    place = Place.of(device, dtype, machine)
    seconds = low = high = 0.0
    by_table = []
    for each in counted:
        assert each.flops is not None
        rate = rates.find(place, each.name, each.flops / each.calls)
        if rate is None:
            rate = from_table(each.name, each.flops / each.calls, device, dtype, machine)
            by_table.append(each.name)
        seconds += each.flops / rate.flops
        low += each.flops / rate.flops / rate.spread
        high += each.flops / rate.flops * rate.spread
    if not by_table:
        basis = "speeds seen on this machine"
    elif len(by_table) == len(counted):
        basis = "a table of what such machines do; drawing once makes it better"
    else:
        basis = f"speeds seen on this machine; a table for {', '.join(by_table)}"
    return estimate.model_copy(
        update={"seconds_per_image": seconds, "seconds_low": low, "seconds_high": high, "basis": basis}
    )


def from_table(kind: str, flops_per_call: float, device: str, dtype: Dtype, machine: Machine) -> Rate:
    """What a device of this sort does, about, in calls of a size: small ones mostly wait for their own beginning."""
    size = min((flops_per_call / LARGE_CALL) ** SMALL_SLOWER, 1.0)
    return Rate(_matmul(device, dtype, machine) * EFFICIENCY.get(kind, 0.3) * size, TABLE_SPREAD, False)


def _matmul(device: str, dtype: Dtype, machine: Machine) -> float:
    gpu = machine.gpu(device)
    if gpu is not None:
        capability = gpu.capability or (0, 0)
        half, single = next((half, single) for least, half, single in GPU if capability >= least)
        return (single if dtype == "float32" else half) * GIGA
    if device == "mps":
        return MPS * GIGA
    core = next((rate for flag, kind, rate in CPU_CORE if flag in machine.flags and kind == dtype), CPU_LEAST)
    return core * _threads(machine) * GIGA


def _threads(machine: Machine) -> int:
    asked = re.match(r"\d+", os.environ.get("OMP_NUM_THREADS", ""))
    return min(machine.cores, max(int(asked[0]), 1)) if asked else max(machine.cores, 1)


def _decade(flops: float) -> int:
    return round(math.log10(max(flops, 1.0)))


def _mixed(old: float, new: float) -> float:
    return (1 - KEEP) * old + KEEP * new
