"""Looking at a machine through files and tool output that are given, not found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from limner.models import probing

SMI = """\
0, NVIDIA H200, 143771, 143000, 9.0, 570.1, GPU-aaaa
1, Tesla T4, 15360, 15000, 7.5, 570.1, GPU-bbbb
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_gpus_are_read_from_nvidia_smi() -> None:
    h200, t4 = probing.parse_smi(SMI, {})
    assert (h200.index, h200.name, h200.capability, h200.memory) == (0, "NVIDIA H200", (9, 0), 143771 * 2**20)
    assert (t4.index, t4.capability, t4.free) == (1, (7, 5), 15000 * 2**20)


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        ("1", ["Tesla T4"]),
        ("1,0", ["Tesla T4", "NVIDIA H200"]),
        ("", []),
        ("-1", []),
        ("GPU-bbbb", ["Tesla T4"]),
        ("0,7,1", ["NVIDIA H200"]),
    ],
)
def test_gpus_are_numbered_as_cuda_numbers_them(mask: str, names: list[str]) -> None:
    found = probing.parse_smi(SMI, {"CUDA_VISIBLE_DEVICES": mask})
    assert [gpu.name for gpu in found] == names
    assert [gpu.index for gpu in found] == list(range(len(names)))


def test_odd_tool_output_is_left_out() -> None:
    assert probing.parse_smi("NVIDIA-SMI has failed\n\n0, x, [N/A], 1, 2, 3, 4", {}) == ()
    (old,) = probing.parse_smi("0, Old, 2048, [N/A], [N/A], 390, GPU-c", {})
    assert (old.capability, old.free) == (None, None)


def test_linux_facts_come_from_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    root = write(
        tmp_path,
        {
            "proc/cpuinfo": "processor : 0\nmodel name\t: Some Xeon\nflags\t: fpu avx2 avx512f amx_bf16 avx512_bf16\n",
            "proc/meminfo": "MemTotal:       1000 kB\nMemAvailable:    400 kB\n",
        },
    )
    found = probing.look(root)
    assert found.cpu == "Some Xeon"
    assert found.flags == {"avx2", "avx512f", "amx_bf16", "avx512_bf16"}
    assert (found.ram_total, found.ram_available, found.ram_limit) == (1000 * 1024, 400 * 1024, None)
    assert not found.mps


def test_arm_flags_are_known_by_our_names() -> None:
    _, flags = probing._linux_cpu("Features\t: fp asimd bf16 i8mm\n")
    assert flags == {"neon", "neon_bf16"}


def test_the_tightest_control_group_counts(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/outer/inner\n",
            "sys/fs/cgroup/outer/memory.max": "3000\n",
            "sys/fs/cgroup/outer/memory.current": "1000\n",
            "sys/fs/cgroup/outer/inner/memory.max": "max\n",
        },
    )
    assert probing.container_memory(root) == (3000, 1000)


def test_control_groups_of_version_1(tmp_path: Path) -> None:
    base = "sys/fs/cgroup/memory"
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/job\n3:cpu,cpuacct:/\n",
            f"{base}/memory.limit_in_bytes": "9223372036854771712",
            f"{base}/job/memory.limit_in_bytes": "5000",
            f"{base}/job/memory.usage_in_bytes": "700",
        },
    )
    assert probing.container_memory(root) == (5000, 700)


def test_a_containers_limit_bounds_what_is_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    root = write(
        tmp_path,
        {
            "proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 900 kB\n",
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "102400",
            "sys/fs/cgroup/memory.current": "2400",
        },
    )
    found = probing.look(root)
    assert (found.ram_limit, found.ram_available) == (102400, 100000)


def test_a_container_quota_bounds_the_cores(tmp_path: Path) -> None:
    assert probing._cores(write(tmp_path, {"sys/fs/cgroup/cpu.max": "50000 100000"})) == 1


def test_an_empty_machine_is_no_error(tmp_path: Path) -> None:
    assert probing.look(tmp_path).cores >= 1


def test_mac_memory_counts_pages_that_can_be_had() -> None:
    text = "Statistics: (page size of 16384 bytes)\nPages free: 10.\nPages inactive: 5.\nPages wired: 9."
    assert probing._darwin_memory("1000000", text) == (1000000, 15 * 16384)
    assert probing._darwin_memory("1000000", "") == (1000000, 1000000)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\n", ("2.13.0+cpu", "")),
        ("__version__ = '2.13.0'\ncuda: Optional[str] = '13.0'\n", ("2.13.0", "13.0")),
        ("", (None, None)),
    ],
)
def test_torchs_build_is_read_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: tuple[str | None, str | None]
) -> None:
    write(tmp_path, {"torch/__init__.py": "raise ImportError", "torch/version.py": text})
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert probing._torch() == found
