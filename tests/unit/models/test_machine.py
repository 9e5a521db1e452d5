"""Device, number format and fit, on machines described rather than owned."""

from __future__ import annotations

import pytest

from limner.errors import DeviceError
from limner.models.machine import Gpu, Machine, choose_device, choose_dtype, fits, gigabytes
from limner.types import Dtype

GB = 10**9


def machine(
    *gpus: Gpu,
    flags: str = "",
    mps: bool = False,
    torch_cuda: str | None = "13.0",
    ram: int = 16 * GB,
    limit: int | None = None,
) -> Machine:
    return Machine(
        os="Darwin" if mps else "Linux",
        arch="arm64" if mps else "x86_64",
        cpu="test CPU",
        cores=4,
        flags=frozenset(flags.split()),
        ram_total=ram,
        ram_available=ram // 2,
        ram_limit=limit,
        gpus=gpus,
        mps=mps,
        torch_version="2.13.0",
        torch_cuda=torch_cuda,
    )


def gpu(name: str, capability: tuple[int, int] | None, memory: int = 16 * GB, index: int = 0) -> Gpu:
    return Gpu(index=index, name=name, memory=memory, capability=capability)


LAPTOP = machine(flags="avx2", torch_cuda="")
XEON = machine(flags="avx2 avx512f avx512_bf16 amx_bf16", torch_cuda="")
EPYC = machine(flags="avx2 avx512f avx512_bf16", torch_cuda="")
GRAVITON = machine(flags="neon neon_bf16", torch_cuda="")
M2 = machine(flags="neon neon_bf16", mps=True, torch_cuda="")
T4 = machine(gpu("Tesla T4", (7, 5)), flags="avx2 avx512f")
A100 = machine(gpu("NVIDIA A100", (8, 0)), flags="avx2")
H200 = machine(gpu("NVIDIA H200", (9, 0)), flags="avx2 amx_bf16")
OLD_DRIVER = machine(gpu("NVIDIA something", None))


@pytest.mark.parametrize(
    ("where", "device", "dtype", "reason"),
    [
        (LAPTOP, "cpu", "float32", "no native bfloat16"),
        (XEON, "cpu", "bfloat16", "amx_bf16"),
        (EPYC, "cpu", "bfloat16", "avx512_bf16"),
        (GRAVITON, "cpu", "float32", "no native bfloat16"),
        (M2, "mps", "float16", "untested"),
        (T4, "cuda:0", "float16", "emulates bfloat16 (compute capability 7.5)"),
        (T4, "cpu", "float32", "no native bfloat16"),
        (A100, "cuda:0", "bfloat16", "compute capability 8.0"),
        (H200, "cuda", "bfloat16", "compute capability 9.0"),
        (OLD_DRIVER, "cuda:0", "float32", "not known"),
    ],
)
def test_the_format_follows_native_capability(where: Machine, device: str, dtype: str, reason: str) -> None:
    chosen = choose_dtype(None, device, where)
    assert chosen.dtype == dtype
    assert reason in chosen.reason


@pytest.mark.parametrize(
    ("asked", "where", "device", "works"),
    [
        ("bfloat16", T4, "cuda:0", "float16 or float32"),
        ("bfloat16", LAPTOP, "cpu", "float32"),
        ("float16", XEON, "cpu", "bfloat16 or float32"),
        ("float16", LAPTOP, "cpu", "float32"),
        ("bfloat16", M2, "mps", "float16 or float32"),
        ("bfloat16", OLD_DRIVER, "cuda:0", "float32 or float16"),
    ],
)
def test_an_emulated_format_is_refused_with_what_works(asked: Dtype, where: Machine, device: str, works: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose_dtype(asked, device, where)
    assert caught.value.hint == f"use --dtype {works}"
    assert asked in caught.value.message


@pytest.mark.parametrize(("where", "device"), [(LAPTOP, "cpu"), (T4, "cuda:0"), (M2, "mps"), (H200, "cuda:0")])
def test_float32_can_be_asked_for_everywhere(where: Machine, device: str) -> None:
    assert choose_dtype("float32", device, where).dtype == "float32"


@pytest.mark.parametrize(
    ("where", "best"), [(LAPTOP, "cpu"), (M2, "mps"), (T4, "cuda:0"), (machine(gpu("G", (8, 6)), torch_cuda=""), "cpu")]
)
def test_the_best_device_is_chosen(where: Machine, best: str) -> None:
    assert choose_device(None, where) == best


def test_an_asked_device_is_taken_or_refused_with_what_is_there() -> None:
    two = machine(gpu("A", (8, 0)), gpu("B", (7, 5), index=1))
    assert choose_device("cuda", two) == "cuda:0"
    assert choose_device("cuda:1", two) == "cuda:1"
    assert choose_device("cpu", two) == "cpu"
    with pytest.raises(DeviceError, match="no device 'cuda:2'") as caught:
        choose_device("cuda:2", two)
    assert caught.value.hint == "here there is: cuda:0, cuda:1, cpu"
    with pytest.raises(DeviceError, match="no device 'mps'"):
        choose_device("mps", LAPTOP)


def test_each_gpu_is_judged_by_its_own_capability() -> None:
    two = machine(gpu("A", (8, 0)), gpu("B", (7, 5), index=1))
    assert choose_dtype(None, "cuda:0", two).dtype == "bfloat16"
    assert choose_dtype(None, "cuda:1", two).dtype == "float16"


def test_a_gpu_that_torch_cannot_use_is_explained() -> None:
    with pytest.raises(DeviceError, match="CPU build") as caught:
        choose_device("cuda", machine(gpu("Tesla T4", (7, 5)), torch_cuda=""))
    assert "Tesla T4" in caught.value.hint


def test_what_fits_counts_free_memory_with_headroom() -> None:
    busy = machine(Gpu(0, "G", memory=16 * GB, capability=(8, 0), free=5 * GB))
    assert fits(4 * GB, "cuda:0", busy).ok
    assert not fits(5 * GB, "cuda:0", busy).ok  # a tenth is kept free
    assert "does not fit: 5.0 GB needed, 4.5 GB usable of 16.0 GB on G" in fits(5 * GB, "cuda:0", busy).reason
    assert fits(7 * GB, "cpu", LAPTOP).ok
    assert not fits(8 * GB, "cpu", LAPTOP).ok


def test_a_containers_limit_counts_as_all_the_memory_there_is() -> None:
    small = machine(limit=4 * GB, ram=64 * GB)
    assert not fits(4 * GB, "cpu", small).ok
    assert "in this container" in fits(4 * GB, "cpu", small).reason


def test_untried_platforms_are_named() -> None:
    assert LAPTOP.untested() == ()
    assert any("mps" in note for note in M2.untested())


def test_sizes_for_people() -> None:
    assert (gigabytes(44_255_888), gigabytes(4_265_000_000)) == ("44 MB", "4.3 GB")
