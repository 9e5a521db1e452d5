"""The engine: add, cancel, step. One thread calls it, the one that calls torch.

A step picks rows, makes one model call, and hands each answer back to its job, whatever step each job is at. Jobs join
and leave between steps, so requests with different prompts, seeds, step counts, solvers and guidance share calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

from limner.engine.job import Job
from limner.engine.runner import TorchRunner, is_out_of_memory
from limner.engine.scheduler import Scheduler, Waiting
from limner.engine.threads import using
from limner.errors import Cancelled, LimnerError, OutOfMemory
from limner.sampling.course import Call, Eval, Row

if TYPE_CHECKING:
    from torch import Tensor


MOST_SHARING = 64  # jobs under way at once; more only hold memory, as a call takes fewer rows


class Engine:
    """``on_finish`` is told of every job that leaves: with a picture, or an error (``Cancelled`` included).

    Jobs begin in order of arrival: one that runs alone when the one before it has left, sharing ones up to 64 at once.
    Until then a job costs nothing.
    """

    def __init__(self, runner: TorchRunner, scheduler: Scheduler, on_finish: Callable[[Job], None]) -> None:
        self.runner = runner
        self.scheduler = scheduler
        self._on_finish = on_finish
        self._backlog: dict[str, Job] = {}
        self._jobs: dict[str, Job] = {}
        self._remembered: dict[tuple[Hashable, ...], tuple[Tensor, ...]] = {}

    @property
    def idle(self) -> bool:
        return not self._jobs and not self._backlog

    def add(self, job: Job) -> None:
        """The job begins at a coming step."""
        self._backlog[job.id] = job

    def cancel(self, job_id: str) -> None:
        """Takes effect before the next model call; unknown ids are jobs that already left."""
        if job := self._jobs.get(job_id) or self._backlog.get(job_id):
            job.cancelled = True

    def forget(self, job_id: str) -> None:
        """Drop a job without telling anyone."""
        if job := self._jobs.pop(job_id, None) or self._backlog.pop(job_id, None):
            job.course.close()

    def step(self) -> bool:
        """One model call. False when nothing is left to do."""
        self._drop_cancelled()
        self._begin()
        if calling := next((j for j in self._jobs.values() if isinstance(j.pending, Call)), None):
            with using(calling.threads):
                self._call(calling)
            return True
        chosen = self.scheduler.pick(self._served_now([w for job in self._jobs.values() for w in job.waiting()]))
        if chosen:
            with using(self._jobs[chosen[0].job].threads):  # as many for all: it is part of the bucket
                self._forward(chosen)
        return not self.idle

    def _served_now(self, waiting: list[Waiting]) -> list[Waiting]:
        """The rows whose parts are resident, where not all parts can be. Rows of jobs alone have their turn as ever."""
        if all(w.alone for w in waiting):
            return waiting
        parts = {w: self._row(w).weights for w in waiting}
        served = self.runner.residency.served_now(set(parts.values()))
        return [w for w in waiting if parts[w] in served]

    def _row(self, waiting: Waiting) -> Row:
        ask = self._jobs[waiting.job].pending
        assert isinstance(ask, Eval)
        return ask.rows[waiting.position]

    def _begin(self) -> None:
        """Start what may start. A job may finish at once, from what is remembered, and make room for the next."""
        for job in list(self._backlog.values()):
            alone = sum(j.alone for j in self._jobs.values())
            if alone if job.alone else len(self._jobs) - alone >= MOST_SHARING:
                continue
            del self._backlog[job.id]
            self._jobs[job.id] = job
            with using(job.threads):
                job.start()
                self._after(job)

    def _forward(self, chosen: Sequence[Waiting]) -> None:
        jobs = [self._jobs[w.job] for w in chosen]
        asks = [job.pending for job in jobs]
        rows = [ask.rows[w.position] for ask, w in zip(asks, chosen, strict=True) if isinstance(ask, Eval)]
        began = time.perf_counter()
        answers = self.runner.forward(rows, split=not chosen[0].alone)  # other rows beside it, other last bits
        loading, peak = self.runner.take_loading(), self.runner.take_peak()
        spent = time.perf_counter() - began - loading
        for note in self.runner.take_notes():
            for job in dict.fromkeys(jobs):
                job.note(*note)
        for job in dict.fromkeys(jobs):
            job.used(peak)
            job.seconds[rows[0].weights.part] += spent
            if loading:
                job.seconds["load"] += loading
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
        began = time.perf_counter()
        try:
            with self.runner.measured(call.weights):
                answer: Tensor | LimnerError = call.run(self.runner, job.tick)
        except LimnerError as error:
            answer = error
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            answer = OutOfMemory(
                f"{call.weights.part} does not fit into memory",
                hint="try fewer pictures, another --dtype, or a smaller model (limner models list --fits)",
            )
        loading = self.runner.take_loading()
        job.used(self.runner.take_peak())
        for note in self.runner.take_notes():
            job.note(*note)
        job.seconds[call.weights.part] += time.perf_counter() - began - loading
        if loading:
            job.seconds["load"] += loading
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
        for job in [j for j in (*self._jobs.values(), *self._backlog.values()) if j.cancelled]:
            self.forget(job.id)
            job.fail(Cancelled("cancelled"))
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
    return (job.alone, job.threads, *keys) if len(keys) == len(rows) else ()
