"""Looks at the machine without torch: /proc, control groups, nvidia-smi, sysctl. What cannot be read is left out."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from limner.models.machine import Gpu, Machine

FLAGS = {  # as the kernel or sysctl spells them -> as we do
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx512_bf16": "avx512_bf16",
    "amx_bf16": "amx_bf16",
    "asimd": "neon",
    "bf16": "neon_bf16",
    "hw.optional.arm.FEAT_BF16": "neon_bf16",
}
SMI_FIELDS = "index,name,memory.total,memory.free,compute_cap,driver_version,uuid"


def look(root: Path = Path("/")) -> Machine:
    """The machine as it is. ``root`` stands for ``/`` so that tests can fake /proc and /sys. Never raises."""
    system = platform.system()
    cpu, flags = _darwin_cpu() if system == "Darwin" else _linux_cpu(_read(root / "proc/cpuinfo"))
    total, available = _memory(system, root)
    limit, used = container_memory(root)
    if limit is not None and limit < total:
        available = min(available, max(0, limit - (used or 0)))
    else:
        limit = None
    version, cuda = _torch()
    return Machine(
        os=system,
        arch=platform.machine(),
        cpu=cpu or platform.processor() or platform.machine(),
        cores=_cores(root),
        flags=flags,
        ram_total=total,
        ram_available=available,
        ram_limit=limit,
        gpus=parse_smi(_nvidia_smi(root), os.environ),
        mps=system == "Darwin" and platform.machine() == "arm64",
        torch_version=version,
        torch_cuda=cuda,
        python=platform.python_version(),
        platform=platform.platform(),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _linux_cpu(cpuinfo: str) -> tuple[str, frozenset[str]]:
    name = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    line = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    words = set(line[1].split()) if line else set()
    return (name[1].strip() if name else ""), frozenset(ours for theirs, ours in FLAGS.items() if theirs in words)


def _darwin_cpu() -> tuple[str, frozenset[str]]:
    name = _run("sysctl", "-n", "machdep.cpu.brand_string")
    bf16 = _run("sysctl", "-n", "hw.optional.arm.FEAT_BF16") == "1"
    arm = platform.machine() == "arm64"
    avx2 = "AVX2" in _run("sysctl", "-n", "machdep.cpu.leaf7_features")
    found = {"neon": arm, "neon_bf16": bf16, "avx2": avx2}
    return name, frozenset(flag for flag, there in found.items() if there)


def _run(*command: str, timeout: float = 3.0) -> str:
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _memory(system: str, root: Path) -> tuple[int, int]:
    """(total, available) bytes; zeros where they cannot be learned."""
    if system == "Linux":
        facts: dict[str, str] = dict(re.findall(r"^(\w+):\s+(\d+) kB$", _read(root / "proc/meminfo"), re.MULTILINE))
        total = int(facts.get("MemTotal", 0)) * 1024
        return total, int(facts.get("MemAvailable", facts.get("MemFree", 0))) * 1024
    if system == "Darwin":
        return _darwin_memory(_run("sysctl", "-n", "hw.memsize"), _run("vm_stat"))
    return _windows_memory() if system == "Windows" else (0, 0)


def _darwin_memory(memsize: str, vm_stat: str) -> tuple[int, int]:
    total = int(memsize) if memsize.isdigit() else 0
    page = re.search(r"page size of (\d+)", vm_stat)
    reusable = re.findall(r"^Pages (?:free|inactive|speculative|purgeable):\s+(\d+)", vm_stat, re.MULTILINE)
    if page is None:
        return total, total
    return total, min(total, int(page.group(1)) * sum(int(count) for count in reusable))


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = [
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        *((name, ctypes.c_uint64) for name in ("total", "available", "a", "b", "c", "d", "e")),
    ]


def _windows_memory() -> tuple[int, int]:
    status = _MemoryStatus()
    status.length = ctypes.sizeof(_MemoryStatus)
    kernel = getattr(getattr(ctypes, "windll", None), "kernel32", None)
    if kernel is None or not kernel.GlobalMemoryStatusEx(ctypes.byref(status)):
        return 0, 0
    return int(status.total), int(status.available)


def _cores(root: Path) -> int:
    """Cores this process may use: its affinity mask, and a container's quota rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read(root / "sys/fs/cgroup/cpu.max").strip().partition(" ")
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        cores = min(cores, max(1, -(-int(quota) // int(period))))
    return cores


def container_memory(root: Path = Path("/")) -> tuple[int | None, int | None]:
    """(limit, used) bytes of the tightest control group around this process, version 2 or 1; ``None`` without one."""
    tightest: tuple[int | None, int | None] = (None, None)
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            base, limit_name, used_name = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit_name, used_name = (
                root / "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            )
        else:
            continue
        inside = base / path.strip("/")
        for group in (inside, *inside.parents):
            if not group.is_relative_to(base):
                break
            limit, used = _read(group / limit_name).strip(), _read(group / used_name).strip()
            if limit.isdigit() and (tightest[0] is None or int(limit) < tightest[0]):
                tightest = int(limit), int(used) if used.isdigit() else None
    return tightest


def _nvidia_smi(root: Path) -> str:
    there = any((root / "dev").glob("nvidia*")) or (root / "proc/driver/nvidia").exists()
    if not there and shutil.which("nvidia-smi") is None:
        return ""
    return _run("nvidia-smi", f"--query-gpu={SMI_FIELDS}", "--format=csv,noheader,nounits")


def parse_smi(text: str, environ: Mapping[str, str]) -> tuple[Gpu, ...]:
    """GPUs of nvidia-smi's CSV (memory in MiB), numbered as CUDA numbers them under CUDA_VISIBLE_DEVICES."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    rows = [row for row in rows if len(row) == 7 and row[0].isdigit() and row[2].isdigit()]
    return tuple(_gpu(k, row) for k, row in enumerate(_visible(rows, environ.get("CUDA_VISIBLE_DEVICES"))))


def _gpu(index: int, row: list[str]) -> Gpu:
    capability = re.fullmatch(r"(\d+)\.(\d+)", row[4])
    return Gpu(
        index=index,
        name=row[1],
        memory=int(row[2]) * 2**20,
        capability=(int(capability[1]), int(capability[2])) if capability else None,
        driver=row[5],
        free=int(row[3]) * 2**20 if row[3].isdigit() else None,
    )


def _visible(rows: list[list[str]], mask: str | None) -> list[list[str]]:
    """CUDA reads the mask up to its first invalid entry; an empty mask hides every device."""
    if mask is None:
        return rows
    chosen = []
    for entry in (part.strip() for part in mask.split(",")):
        match = next((r for r in rows if entry == r[0] or (entry.startswith("GPU-") and r[6].startswith(entry))), None)
        if match is None:
            break
        chosen.append(match)
    return chosen


def _torch() -> tuple[str | None, str | None]:
    """(version, CUDA version) of the installed torch, read from its version file: importing it would cost seconds.

    The CUDA version is empty for a CPU build; both are ``None`` where torch is not installed.
    """
    if "torch" in sys.modules:
        origin = sys.modules["torch"].__file__
    else:
        spec = importlib.util.find_spec("torch")
        origin = spec.origin if spec else None
    text = _read(Path(origin).parent / "version.py") if origin else ""
    version = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)", text, re.MULTILINE)
    cuda = re.search(r"^(?:cuda|hip)\b[^=]*=\s*['\"]([^'\"]+)", text, re.MULTILINE)
    if version is None:
        return None, None
    return version[1], cuda[1] if cuda else ""
