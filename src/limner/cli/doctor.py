"""``limner doctor``: hardware, libraries, disk; what will run here and how; what is wrong and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from limner import __version__
from limner.cli.console import out, say, told
from limner.cli.doctor_checks import Checkup, Problem, examine
from limner.cli.models import as_json as model_json
from limner.cli.models import here
from limner.cli.sheet import Fact, count, out_json, sheet, size
from limner.errors import LimnerError
from limner.models.machine import Fit, Gpu, Machine, probe

if TYPE_CHECKING:
    from limner.models.speed import Speed


@click.command("doctor")
@click.option("--full", is_flag=True, help="also load torch and measure how fast it computes")
@click.option("--json", "json_", is_flag=True, help="as JSON")
@click.pass_context
def command(ctx: click.Context, *, full: bool, json_: bool) -> None:
    """What this machine has, what will run on it and how, and what is wrong. Exits 1 where Limner cannot work."""
    looked = examine(probe())
    speeds, trouble = _measured(looked) if full else ([], [])
    problems = (*looked.problems, *trouble)
    if json_:
        out_json(_as_json(looked, speeds, problems))
    else:
        _tell(looked, speeds, problems, full=full)
    if any(problem.broken for problem in problems):
        ctx.exit(1)


def _tell(looked: Checkup, speeds: Sequence[Speed], problems: Sequence[Problem], *, full: bool) -> None:
    out(f"Limner {__version__}")
    sheet(_hardware(looked.machine), heading="machine")
    sheet(_running(looked, speeds), heading="what will run")
    sheet(_installed(looked), heading="libraries")
    sheet(_kept(looked), heading="folders")
    sheet(((each.card.name, f"{_fit(each.fit)}; {here(each)}") for each in looked.models), heading="models")
    sheet((("untested", note) for note in looked.machine.untested()), heading="not proven")
    out("")
    for problem in problems:
        told(f"{'BROKEN' if problem.broken else 'note'}: {problem.what}")
        told(f"  {problem.remedy}")
    broken = sum(problem.broken for problem in problems)
    out(f"{count(broken, 'thing')} broken" if broken else "everything Limner needs is there")
    if not full:
        say("--full loads torch and measures it", dim=True)


def _hardware(machine: Machine) -> Iterator[Fact]:
    yield "system", f"{machine.platform} ({machine.os}, {machine.arch})"
    yield "cpu", f"{machine.cpu}, {count(machine.cores, 'usable core')}"
    yield "flags", ", ".join(sorted(machine.flags)) or "none that matter"
    limit = f"; this container may use {size(machine.ram_limit)}" if machine.ram_limit else ""
    yield "memory", f"{size(machine.ram_available)} free of {size(machine.ram_total)}{limit}"
    for gpu in machine.gpus:
        yield f"cuda:{gpu.index}", _gpu(gpu)
    if not machine.gpus:
        yield "gpu", "Apple's (mps)" if machine.mps else "none found"


def _gpu(gpu: Gpu) -> str:
    capability = "not known" if gpu.capability is None else "{}.{}".format(*gpu.capability)
    free = "" if gpu.free is None else f"{size(gpu.free)} free of "
    driver = f", driver {gpu.driver}" if gpu.driver else ""
    return f"{gpu.name}, {free}{size(gpu.memory)}, compute capability {capability}{driver}"


def _running(looked: Checkup, speeds: Sequence[Speed]) -> Iterator[Fact]:
    settings = looked.settings
    yield "device", f"{looked.device} (of {', '.join(looked.machine.devices())})"
    yield "numbers", f"{looked.dtype.dtype}: {looked.dtype.reason}"
    for speed in speeds:
        threads = f" on {count(speed.threads, 'thread')}" if speed.device == "cpu" else ""
        yield f"measured {speed.dtype}", f"{speed.tflops:.3g} TFLOP/s{threads} (matrix products of 1024)"
    offline = settings.value("network.offline")
    yield "network", f"forbidden ({offline.origin})" if offline.value else "used only to fetch a model you name"


def _installed(looked: Checkup) -> Iterator[Fact]:
    machine = looked.machine
    yield "python", machine.python
    for library in looked.libraries:
        build = ""
        if library.name == "torch" and machine.torch_version is not None:
            build = f" (CUDA {machine.torch_cuda})" if machine.torch_cuda else " (CPU build)"
        missing = f"not installed ({library.use})" if library.use else "MISSING"
        yield library.name, missing if library.version is None else library.version + build


def _kept(looked: Checkup) -> Iterator[Fact]:
    there = "" if looked.settings.config_file.is_file() else " (not there: built-in settings)"
    yield "settings", f"{looked.settings.config_file}{there}"
    for folder in looked.folders:
        pictures = ""
        if folder.what == "library":
            pictures = ", no pictures yet" if looked.pictures is None else f", {count(looked.pictures, 'picture')}"
        free = f"{size(folder.free)} free" if folder.free is not None else "free space not known"
        yield folder.what, f"{folder.path} ({'NOT WRITABLE' if folder.trouble else 'writable'}, {free}{pictures})"


def _fit(fit: Fit | None) -> str:
    return "not known whether it fits" if fit is None else fit.reason


def _measured(looked: Checkup) -> tuple[list[Speed], list[Problem]]:
    """Speeds in float32 and in the number format that will be used; what torch itself says is wrong."""
    try:
        from limner.models.speed import matmul
    except Exception as error:  # a broken torch fails in ways of its own: missing libraries, wrong builds
        what = f"torch cannot be loaded: {type(error).__name__}: {error}"
        return [], [Problem(what, "install torch again", broken=True)]
    speeds: list[Speed] = []
    troubles: list[Problem] = []
    for dtype in dict.fromkeys(("float32", looked.dtype.dtype)):
        try:
            speeds.append(matmul(looked.device, dtype))
        except LimnerError as error:
            troubles.append(Problem(error.message, error.hint, broken=True))
    return speeds, troubles


def _as_json(looked: Checkup, speeds: Sequence[Speed], problems: Sequence[Problem]) -> dict[str, object]:
    settings = looked.settings
    return {
        "limner": __version__,
        "ok": not any(problem.broken for problem in problems),
        "machine": asdict(looked.machine) | {"flags": sorted(looked.machine.flags)},
        "device": looked.device,
        "dtype": looked.dtype.dtype,
        "dtype_reason": looked.dtype.reason,
        "measured": [asdict(speed) for speed in speeds],
        "libraries": {library.name: library.version for library in looked.libraries},
        "folders": [asdict(folder) | {"writable": not folder.trouble} for folder in looked.folders],
        "settings": str(settings.config_file),
        "offline": settings.offline,
        "pictures": looked.pictures,
        "models": [model_json(found) for found in looked.models],
        "untested": list(looked.machine.untested()),
        "problems": [asdict(problem) for problem in problems],
    }
