"""What this machine can do, and what follows: device, number format, what fits. Torch-free.

The dtype rule goes by native capability, not by what a library says it supports: a T4 (compute capability 7.5) reports
bfloat16 as supported but emulates it, at a fraction of float16's speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from limner.errors import DeviceError
from limner.types import Dtype

BF16_CAPABILITY = (8, 0)  # Ampere: the first with bfloat16 in its tensor cores
HEADROOM = 0.9  # share of free memory a model may plan with; the rest is the allocator's and the system's
MPS_SHARE = 0.7  # share of memory that macOS lets a GPU process hold by default, about


@dataclass(frozen=True, slots=True)
class Gpu:
    """One CUDA device. ``index`` is the one CUDA counts by; bytes; capability (major, minor), ``None`` if not known."""

    index: int
    name: str
    memory: int
    capability: tuple[int, int] | None
    driver: str = ""
    free: int | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts of a machine. Bytes. ``flags`` holds those of avx2, avx512f, avx512_bf16, amx_bf16, neon, neon_bf16 that
    are there. ``ram_limit`` is a container's limit. ``torch_cuda`` is the CUDA version of the installed torch, empty
    for a CPU build, ``None`` where torch was not found."""

    os: str
    arch: str
    cpu: str
    cores: int
    flags: frozenset[str]
    ram_total: int
    ram_available: int
    ram_limit: int | None = None
    gpus: tuple[Gpu, ...] = ()
    mps: bool = False
    torch_version: str | None = None
    torch_cuda: str | None = None
    python: str = ""
    platform: str = ""

    def devices(self) -> tuple[str, ...]:
        """What ``--device`` may name here, best first."""
        cuda = tuple(f"cuda:{gpu.index}" for gpu in self.gpus) if self.torch_cuda != "" else ()
        return (*cuda, *(("mps",) if self.mps else ()), "cpu")

    def gpu(self, device: str) -> Gpu | None:
        """The GPU behind ``cuda`` or ``cuda:N``."""
        index = _index(device)
        return next((gpu for gpu in self.gpus if gpu.index == index), None)

    def untested(self) -> tuple[str, ...]:
        """What nobody has run Limner on yet, in words; for ``doctor``."""
        notes = []
        if self.mps:
            notes.append("Apple GPUs (mps): the rules are written but untested")
        if self.os == "Windows":
            notes.append("Windows: untested")
        return tuple(notes)


class Chosen(NamedTuple):
    """A number format and why."""

    dtype: Dtype
    reason: str


class Fit(NamedTuple):
    """Whether something fits, and the sentence that says so."""

    ok: bool
    reason: str


@cache
def probe() -> Machine:
    """The machine this runs on; asked once a process."""
    from limner.models.probing import look

    return look()


def choose_device(asked: str | None, machine: Machine) -> str:
    """The device to use: the one asked for, else the best there is. Raises ``DeviceError`` with what is there."""
    there = machine.devices()
    if asked is None:
        return there[0]
    device = f"cuda:{_index(asked)}" if asked.startswith("cuda") else asked
    if device in there:
        return device
    hint = f"here there is: {', '.join(there)}"
    if asked.startswith("cuda") and machine.gpus and machine.torch_cuda == "":
        raise DeviceError(
            f"{asked} cannot be used: the installed torch {machine.torch_version} is a CPU build",
            hint=f"install a CUDA build of torch for {machine.gpus[0].name}, or use --device cpu",
        )
    raise DeviceError(f"this machine has no device {asked!r}", hint=hint)


def choose_dtype(asked: Dtype | None, device: str, machine: Machine) -> Chosen:
    """The networks' number format on a device, and why. Raises ``DeviceError`` for one the device only emulates."""
    native = native_dtypes(device, machine)
    if asked is None:
        return _default(device, native, machine)
    if asked not in native:
        raise DeviceError(
            f"{asked} does not run natively on {_name(device, machine)}: {_why_not(asked, device, machine)}",
            hint=f"use --dtype {' or '.join(native)}",
        )
    return Chosen(asked, f"{asked} was asked for")


def fits(needed: int, device: str, machine: Machine) -> Fit:
    """Whether ``needed`` bytes fit beside what is in use, with a tenth kept free."""
    _, total, what = _memory(device, machine)
    usable = usable_memory(device, machine)
    sizes = f"{gigabytes(needed)} needed, {gigabytes(usable)} usable of {gigabytes(total)} {what}"
    return Fit(needed <= usable, f"fits: {sizes}" if needed <= usable else f"does not fit: {sizes}")


def usable_memory(device: str, machine: Machine) -> int:
    """Bytes that may be planned with: what is free beside what is in use, a tenth kept back."""
    free, _, _ = _memory(device, machine)
    return int(free * HEADROOM)


def gigabytes(count: int) -> str:
    """Bytes for people: ``4.3 GB`` (10^9) or ``44 MB`` (10^6)."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _index(device: str) -> int:
    return int(device.partition(":")[2] or 0) if device.startswith("cuda") else -1


def _name(device: str, machine: Machine) -> str:
    gpu = machine.gpu(device)
    if gpu is not None:
        return gpu.name
    return "Apple's GPU" if device == "mps" else f"this CPU ({machine.cpu or machine.arch})"


def native_dtypes(device: str, machine: Machine) -> tuple[Dtype, ...]:
    """Formats the device computes in, fastest first."""
    if device.startswith("cuda"):
        gpu = machine.gpu(device)
        if gpu is None or gpu.capability is None:
            return ("float32", "float16")
        return ("bfloat16", "float16", "float32") if gpu.capability >= BF16_CAPABILITY else ("float16", "float32")
    if device == "mps":
        return ("float16", "float32")
    return ("bfloat16", "float32") if machine.flags & {"amx_bf16", "avx512_bf16", "neon_bf16"} else ("float32",)


def _default(device: str, native: tuple[Dtype, ...], machine: Machine) -> Chosen:
    if device.startswith("cuda"):
        gpu = machine.gpu(device)
        if gpu is None or gpu.capability is None:
            return Chosen("float32", "the GPU's compute capability is not known")
        shown = "{}.{}".format(*gpu.capability)
        if native[0] == "bfloat16":
            return Chosen("bfloat16", f"{gpu.name} has native bfloat16 (compute capability {shown})")
        return Chosen(
            "float16",
            f"{gpu.name} only emulates bfloat16 (compute capability {shown}); non-finite values are decoded in float32",
        )
    if device == "mps":
        return Chosen("float16", "Apple GPUs compute in float16; untested")
    if flag := next((flag for flag in ("amx_bf16", "avx512_bf16") if flag in machine.flags), None):
        return Chosen("bfloat16", f"this CPU has native bfloat16 ({flag})")
    return Chosen("float32", "this CPU has no native bfloat16 (amx_bf16 or avx512_bf16)")


def _why_not(asked: Dtype, device: str, machine: Machine) -> str:
    gpu = machine.gpu(device)
    if gpu is not None and gpu.capability is not None:
        return "its compute capability is {}.{}, and bfloat16 needs 8.0".format(*gpu.capability)
    if gpu is not None:
        return "its compute capability is not known"
    if device == "mps":
        return "Apple GPUs compute in float16 and float32"
    return "CPUs emulate float16, slowly" if asked == "float16" else "it has neither amx_bf16 nor avx512_bf16"


def _memory(device: str, machine: Machine) -> tuple[int, int, str]:
    """(free, total, of what) of a device's memory."""
    gpu = machine.gpu(device)
    if gpu is not None:
        return (gpu.memory if gpu.free is None else gpu.free), gpu.memory, f"on {gpu.name}"
    if device == "mps":
        share = int(machine.ram_total * MPS_SHARE)
        return min(share, machine.ram_available), share, "shared with Apple's GPU"
    total = machine.ram_total if machine.ram_limit is None else min(machine.ram_total, machine.ram_limit)
    return min(machine.ram_available, total), total, "of memory" if machine.ram_limit is None else "in this container"
