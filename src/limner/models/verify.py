"""The report on whether a model draws here what diffusers draws with the same published weights. Torch-free.

It goes to other people: it holds no path, user or host name, and claims no more than was done. Only weights that came
from the hub at a commit, each file equal to the publisher's hash, drawn in float32 and equal to diffusers' pictures
within the bound, count as verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from limner.models.machine import Machine, gigabytes
from limner.types import Frozen

PROMPTS = (
    "a red fox in the snow",
    "a portrait of an old fisherman, oil painting",
    "a bowl of fruit on a wooden table, soft light",
)
SEEDS = (11, 12, 13)
NEAR = 2  # of 255
LEAST_NEAR = 0.999  # share of values that may not differ by more
MOST_MEAN = 0.1  # of 255

Outcome = Literal["verified", "failed", "not verified"]


class Finding(Frozen):
    """One thing that was looked at. ``ok`` is ``None`` where it could not be."""

    name: str
    ok: bool | None
    said: str


class Drawing(Frozen):
    """How one program drew: seconds and bytes."""

    program: str
    version: str
    load_seconds: float | None = None
    seconds: tuple[float, ...] = ()
    peak_bytes: int | None = None


class Difference(Frozen):
    """Two pictures of the same words and seed, in values of 0..255. ``near`` is the share within 2."""

    prompt: str
    seed: int
    largest: int
    mean: float
    near: float

    @property
    def ok(self) -> bool:
        return self.near >= LEAST_NEAR and self.mean <= MOST_MEAN


class Report(Frozen):
    """Everything that was found."""

    model: str
    family: str
    repo: str | None
    commit: str | None
    weights: str
    date: str
    machine: Mapping[str, str]
    device: str
    dtype: str
    width: int
    height: int
    steps: int | None
    guidance: float
    solver: str | None
    findings: tuple[Finding, ...]
    drawings: tuple[Drawing, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def outcome(self) -> Outcome:
        if any(finding.ok is False for finding in self.findings) or any(not each.ok for each in self.differences):
            return "failed"
        whole = all(finding.ok for finding in self.findings) and len(self.differences) == len(PROMPTS)
        return "verified" if whole else "not verified"

    @property
    def claim(self) -> str | None:
        """What a card may say of itself now: ``published weights (2026-11-22, AMD EPYC, cpu)``."""
        if self.outcome != "verified":
            return None
        return f"published weights ({self.date}, {self.machine.get('processor') or 'unknown processor'}, {self.device})"

    def as_json(self) -> dict[str, object]:
        return {**self.model_dump(mode="json"), "outcome": self.outcome, "claim": self.claim}

    def to_markdown(self) -> str:
        return "\n".join(_markdown(self)) + "\n"


def machine_facts(machine: Machine, device: str) -> dict[str, str]:
    """What others need to know of a machine, and nothing that says whose it is."""
    gpu = machine.gpu(device)
    facts = {
        "processor": gpu.name if gpu is not None else machine.cpu or machine.arch,
        "system": f"{machine.os} {machine.arch}",
        "cores": str(machine.cores),
        "memory": gigabytes(machine.ram_total),
        "python": machine.python,
        "torch": machine.torch_version or "",
    }
    return {name: value for name, value in facts.items() if value}


def _markdown(report: Report) -> Iterator[str]:
    yield f"# {report.model}: {report.outcome}"
    yield ""
    yield f"Checked by `limner models verify` on {report.date}."
    if report.claim:
        yield f'For its card: `verified = "{report.claim}"`'
    yield ""
    at = f" at commit `{report.commit}`" if report.commit else ""
    yield f"- weights: {report.repo or 'not from the hub'}{at}, `{report.weights}`"
    guided = f"{report.steps} steps, guidance {report.guidance:g}, {report.solver or 'its own scheduler'}"
    yield f"- drawn: {report.width}x{report.height}, {guided}, {report.dtype} on {report.device}"
    yield f"- machine: {', '.join(f'{name} {value}' for name, value in report.machine.items())}"
    yield ""
    yield from _table(
        ("looked at", "found", ""),
        [(each.name, {True: "ok", False: "FAILED", None: "not done"}[each.ok], each.said) for each in report.findings],
    )
    if report.differences:
        yield f"Differences from diffusers, in values of 0 to 255. The bound: {LEAST_NEAR:.1%} of them within {NEAR},"
        yield f"{MOST_MEAN} on average."
        yield ""
        yield from _table(
            ("prompt", "seed", f"within {NEAR}", "mean", "largest", ""),
            [
                (d.prompt, d.seed, f"{d.near:.4%}", f"{d.mean:.4f}", d.largest, "ok" if d.ok else "FAILED")
                for d in report.differences
            ],
        )
    if report.drawings:
        yield from _table(
            ("program", "load", "a picture", "peak memory"),
            [
                (f"{d.program} {d.version}", _s(d.load_seconds), ", ".join(map(_s, d.seconds)), _bytes(d.peak_bytes))
                for d in report.drawings
            ],
        )
        yield "Peak memory is of each program's own process while it drew, measured the same way: on a CPU its"
        yield "anonymous memory and the weights it uses as they lie in their files, on a GPU what torch's"
        yield "allocator gave out."


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |"
    yield ""


def _s(seconds: float | None) -> str:
    return "not known" if seconds is None else f"{seconds:.1f} s"


def _bytes(count: int | None) -> str:
    return "not known" if count is None else gigabytes(count)
