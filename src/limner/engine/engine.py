"""The engine: add, cancel, step. One thread calls it, the one that calls torch.

A step picks rows, makes one model call, and hands each answer back to its job, whatever step each job is at. Jobs join
and leave between steps, so requests with different prompts, seeds, step counts, solvers and guidance share calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

from limner.engine.job import Job
from limner.engine.runner import TorchRunner
from limner.engine.scheduler import Scheduler, Waiting
from limner.errors import Cancelled, LimnerError
from limner.sampling.course import Call, Eval, Row

if TYPE_CHECKING:
    from torch import Tensor


class Engine:
    """``on_finish`` is told of every job that leaves: with a picture, an error (``Cancelled`` included)."""

    def __init__(self, runner: TorchRunner, scheduler: Scheduler, on_finish: Callable[[Job], None]) -> None:
        self.runner = runner
        self.scheduler = scheduler
        self._on_finish = on_finish
        self._jobs: dict[str, Job] = {}
        self._remembered: dict[tuple[Hashable, ...], tuple[Tensor, ...]] = {}

    @property
    def idle(self) -> bool:
        return not self._jobs

    def add(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._begin(job)

    def cancel(self, job_id: str) -> None:
        """Takes effect before the next model call; unknown ids are jobs that already left."""
        if job := self._jobs.get(job_id):
            job.cancelled = True

    def step(self) -> bool:
        """One model call. False when nothing is left to do."""
        self._drop_cancelled()
        if calling := next((j for j in self._jobs.values() if isinstance(j.pending, Call)), None):
            self._call(calling)
            return True
        chosen = self.scheduler.pick(self._waiting())
        if chosen:
            self._forward(chosen)
        return not self.idle

    def _begin(self, job: Job) -> None:
        job.start()
        self._after(job)

    def _waiting(self) -> list[Waiting]:
        return [
            Waiting(job.id, job.order, position, row.bucket(), row.cost, job.alone)
            for job in self._jobs.values()
            for position, row in job.waiting_rows()
        ]

    def _forward(self, chosen: Sequence[Waiting]) -> None:
        jobs = [self._jobs[w.job] for w in chosen]
        asks = [job.pending for job in jobs]
        rows = [ask.rows[w.position] for ask, w in zip(asks, chosen, strict=True) if isinstance(ask, Eval)]
        began = time.perf_counter()
        answers = self.runner.forward(rows)
        spent = time.perf_counter() - began
        for note in self.runner.take_notes():
            for job in dict.fromkeys(jobs):
                job.note(*note)
        for job in dict.fromkeys(jobs):
            job.seconds[rows[0].weights.part] += spent
        for job in dict.fromkeys(jobs):
            mine = [(row, answer) for row, answer, owner in zip(rows, answers, jobs, strict=True) if owner is job]
            self._remember(job, mine)
        for w, job, answer in zip(chosen, jobs, answers, strict=True):
            job.answer(w.position, answer)
        for job in dict.fromkeys(jobs):
            self._after(job)

    def _call(self, job: Job) -> None:
        call = job.pending
        assert isinstance(call, Call)

        def tick() -> None:
            if job.cancelled:
                raise Cancelled("cancelled")

        began = time.perf_counter()
        try:
            answer: Tensor | LimnerError = call.run(self.runner, tick)
        except LimnerError as error:
            answer = error
        job.seconds[call.weights.part] += time.perf_counter() - began
        job.answer(0, answer)
        self._after(job)

    def _after(self, job: Job) -> None:
        """Answer from memory what is remembered, and let go of a job that is finished."""
        while isinstance(job.pending, Eval) and (known := self._recall(job, job.pending)) is not None:
            for position, answer in enumerate(known):
                job.answer(position, answer)
        if job.finished:
            del self._jobs[job.id]
            self._on_finish(job)

    def _drop_cancelled(self) -> None:
        for job in [j for j in self._jobs.values() if j.cancelled]:
            job.fail(Cancelled("cancelled"))
            del self._jobs[job.id]
            self._on_finish(job)

    def _recall(self, job: Job, ask: Eval) -> tuple[Tensor, ...] | None:
        key = _key(job, ask.rows)
        return self._remembered.get(key) if key else None

    def _remember(self, job: Job, answered: Sequence[tuple[Row, Tensor | LimnerError]]) -> None:
        """Keep the answers of rows that carry a key (text encodings), whole Evals only: an encoding made beside other
        rows may differ in its last bit, and jobs alone must be byte-equal."""
        ask = job.pending
        key = _key(job, [row for row, _ in answered])
        answers = tuple(answer for _, answer in answered if not isinstance(answer, LimnerError))
        if not key or not isinstance(ask, Eval) or len(answers) != len(ask.rows):
            return
        if len(self._remembered) >= 64:
            self._remembered.pop(next(iter(self._remembered)))
        self._remembered[key] = answers


def _key(job: Job, rows: Sequence[Row]) -> tuple[Hashable, ...]:
    keys = tuple((row.weights, row.key) for row in rows if row.key is not None)
    return (job.alone, *keys) if len(keys) == len(rows) else ()
