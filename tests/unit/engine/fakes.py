"""A family whose network is two numbers: enough to see who shared a call with whom, and what went wrong where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from limner.engine.engine import Engine
from limner.engine.job import Job
from limner.engine.runner import TorchRunner
from limner.engine.scheduler import Scheduler
from limner.models.family import Files, Placement
from limner.sampling.course import Course, Eval, Row, Show, Weights

NET = Weights("fake@cpu", "net", "float32")


class FakeFamily:
    """``forward`` answers 2 * x. ``limit`` is the batch size above which memory runs out; ``poison`` makes NaN."""

    name = "fake"

    def __init__(self, limit: int = 99, poison: float | None = None) -> None:
        self.limit = limit
        self.poison = poison
        self.batches: list[int] = []
        self.loads: list[str] = []

    def load(self, weights: Weights, files: Files, placement: Placement) -> nn.Module:
        self.loads.append(weights.dtype)
        return nn.Linear(1, 1)

    def forward(self, module: nn.Module, part: str, batch: Mapping[str, Tensor]) -> Tensor:
        x = batch["x"]
        self.batches.append(len(x))
        if len(x) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory (pretended)")
        if self.poison is not None:
            x = torch.where(x == self.poison, torch.nan, x)
        return 2 * x


def net(value: float, *, key: str | None = None, weights: Weights = NET) -> Row:
    return Row(weights, {"x": torch.tensor([float(value)])}, cost=1.0, key=key)


def doubling(start: float, steps: int, rows: int = 1) -> Course:
    """Doubles ``start`` at each step, asking for ``rows`` rows."""
    value = start
    for step in range(steps):
        answers = yield Eval(tuple(net(value) for _ in range(rows)))
        value = float(answers[0])
        yield Show(step + 1, steps, torch.tensor([value]))
    return torch.tensor([value])


class Bench:
    """An engine with a fake family, and everything that came out of it."""

    def __init__(self, family: FakeFamily, scheduler: Scheduler | None = None) -> None:
        self.family = family
        self.runner = TorchRunner(budget=1 << 30)
        self.runner.register("fake@cpu", family, Files(Path(), {}), torch.device("cpu"))  # type: ignore[arg-type]
        self.added = 0
        self.finished: list[Job] = []
        self.shown: list[tuple[str, int]] = []
        self.engine = Engine(self.runner, scheduler or Scheduler(), self.finished.append)

    def add(
        self,
        name: str,
        course: Course,
        *,
        alone: bool = False,
        stopped: Callable[[], bool] = lambda: False,
        threads: int | None = None,
    ) -> None:
        self.added += 1
        self.engine.add(Job(name, self.added, course, alone, self._shown, lambda job, notice: None, stopped, threads))

    def run(self, at: Callable[[int], None] = lambda step: None, most: int = 1000) -> None:
        for step in range(most):
            at(step)
            if not self.engine.step():
                return
        raise AssertionError("the engine did not come to an end")

    def job(self, name: str) -> Job:
        return next(job for job in self.finished if job.id == name)

    def _shown(self, job: Job, show: Show) -> None:
        self.shown.append((job.id, show.step))


def values(jobs: Sequence[Job]) -> dict[str, float]:
    return {job.id: float(job.picture) for job in jobs if job.picture is not None}
