"""Taking up what a process left that was killed: pictures that reached the library while the news of them did not
reach the queue, and jobs that ran."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from limner.errors import LibraryError
from limner.library.store import Library
from limner.serve.jobs import Job, Trouble
from limner.serve.queue import Queue
from limner.types import Plan

log = logging.getLogger("limner.serve")


def put_back(
    queue: Queue, library: Library, names: Iterable[str], *, died: Iterable[str] = (), undone: bool = False
) -> tuple[list[str], list[Job]]:
    """Jobs that ran, back to the line with what they have made; those that may run once more, and those that may not,
    which the caller ends. Arguments as those of ``Queue.again``. Nobody may be drawing for this queue meanwhile."""
    jobs = [job for job in map(queue.get, names) if job is not None and job.state == "running"]
    if any(job.kind == "draw" for job in jobs):
        try:
            library.reconcile()  # a file may have been written whose row was not
            for job in sorted(jobs, key=lambda job: job.created):
                claim(queue, library, job)
        except LibraryError as error:  # damaged, say: that must not hold up the queue
            log.warning("pictures of jobs that ran could not be looked for: %s", error.message)
    back = queue.again(*(job.id for job in jobs), died=died, undone=undone)
    return back, [job for job in jobs if job.id not in back]


def claim(queue: Queue, library: Library, job: Job) -> None:
    """Give a job the pictures that were drawn for it and belong to no job yet. Of several with the same key (the same
    was asked twice) the oldest come first."""
    if job.kind != "draw":
        return
    sql = "SELECT id, created FROM pictures WHERE image_key = ? AND lost = 0 ORDER BY n"
    for plan in (Plan.model_validate(each) for each in queue.ask(job.id).plans):
        for k in range(len(plan.seeds)):
            place = plan.first + k
            if place < len(job.pictures) and job.pictures[place] is not None:
                continue
            for row in library.database.query(sql, (plan.image_key(k),)):
                # whole seconds: that is all a Record says of its time
                if _at(row["created"]) >= int(job.created) and not queue.is_made(row["id"]):
                    queue.made(job.id, place, row["id"])
                    break


def spent(job: Job, reason: str) -> Trouble:
    """Why a job is not begun again."""
    return Trouble(
        code="worker_died",
        message=f"the process that drew it ended {job.attempts} times ({reason})",
        hint="ask for fewer or smaller pictures, or another model; limner doctor",
    )


def _at(created: str) -> float:
    return datetime.fromisoformat(created).timestamp()
