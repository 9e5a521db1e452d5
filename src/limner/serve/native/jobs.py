"""``/api/v1/jobs``: ask for work, look at it, order it, stop it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Query
from pydantic import Discriminator, Tag
from starlette.responses import Response

from limner.errors import InvalidRequest
from limner.serve.jobs import Job, State
from limner.serve.native.accepting import accept
from limner.serve.native.answers import JobList, JobView
from limner.serve.native.bodies import (
    CompareJob,
    DrawJob,
    JobId,
    MoveBody,
    PullJob,
    RefineJob,
    ScoreJob,
    UpscaleJob,
)
from limner.serve.native.lookup import NoSuchJob
from limner.serve.service import Service
from limner.serve.shell import service
from limner.types import Request

router = APIRouter(tags=["jobs"])
Own = Annotated[Service, Depends(service)]
Id = Annotated[JobId, Path()]


def _kind(value: Any) -> str:
    """The type that a body is checked by: without ``kind`` it is a bare Request."""
    kind = value.get("kind", "request") if isinstance(value, dict) else getattr(value, "kind", "request")
    return kind if isinstance(kind, str) else "?"


Asked = Annotated[
    Annotated[DrawJob, Tag("draw")]
    | Annotated[UpscaleJob, Tag("upscale")]
    | Annotated[ScoreJob, Tag("score")]
    | Annotated[RefineJob, Tag("refine")]
    | Annotated[CompareJob, Tag("compare")]
    | Annotated[PullJob, Tag("pull")]
    | Annotated[Request, Tag("request")],
    Discriminator(_kind),
]


@router.post("/jobs", status_code=202)
async def ask(
    own: Own,
    response: Response,
    asked: Annotated[Asked, Body()],
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> JobView:
    """Ask for work: a Request, or an object with ``kind``. The answer comes when it is safely in the queue.

    With an ``Idempotency-Key`` the same question is accepted once: asked again, the answer is the same job.
    """
    wanted = DrawJob(request=asked) if isinstance(asked, Request) else asked
    job = await accept(own, wanted, key=idempotency_key)
    response.headers["location"] = f"/api/v1/jobs/{job.id}"
    return JobView.of(job, own)


@router.get("/jobs")
async def listed(
    own: Own,
    state: Annotated[list[State] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[float | None, Query(ge=0, le=1e12)] = None,
) -> JobList:
    """Jobs, newest first; those that wait (``state=queued`` alone) in their order."""
    found = await own.jobs(*(state or ()), limit=limit, before=before)
    return JobList(
        jobs=tuple(JobView.of(job, own) for job in found),
        next=found[-1].created if len(found) == limit else None,
        waiting=own.inside.pending,
    )


@router.get("/jobs/{id}")
async def one(own: Own, id: Id) -> JobView:
    """One job as it stands."""
    return JobView.of(await _found(own, id), own)


@router.delete("/jobs/{id}")
@router.post("/jobs/{id}/cancel")
async def cancel(own: Own, id: Id) -> JobView:
    """Stop a job: a waiting one at once, a running one at its next step. What is made stays."""
    await _found(own, id)
    job = await own.cancel(id)
    assert job is not None
    return JobView.of(job, own)


@router.post("/jobs/{id}/move")
async def move(own: Own, id: Id, where: MoveBody) -> JobView:
    """Put a waiting job before another one, or at the end of the line."""
    await _found(own, id)
    if where.before == id or not await own.move(id, where.before):
        raise InvalidRequest("one of the jobs does not wait (any more)", field="before", hint="list the jobs again")
    return JobView.of(await _found(own, id), own)


async def _found(own: Service, id: str) -> Job:
    job = await own.job(id)
    if job is None:
        raise NoSuchJob(id)
    return job
