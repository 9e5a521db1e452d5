"""The queue, on every page: who waits, how long, in what order; moving and cancelling."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from limner.serve.jobs import Job
from limner.serve.native.bodies import JobId
from limner.serve.native.lookup import NoSuchJob
from limner.serve.service import Service
from limner.serve.shell import service
from limner.serve.studio.templating import back, fragment, page, wants_fragment

router = APIRouter()
Own = Annotated[Service, Depends(service)]
Id = Annotated[JobId, Path()]
SHOWN = 200


@router.get("/queue")
async def queue_page(request: Request, own: Own) -> Response:
    """The panel as a page of its own, for who has no script."""
    return page(request, "queue.html", "", await standing(own))


@router.get("/ui/queue")
async def panel(own: Own) -> Response:
    """The panel's content."""
    return fragment("_queue.html", await standing(own))


@router.get("/ui/queue/count")
async def count(own: Own) -> Response:
    """Pictures that are accepted and not finished, as a number."""
    return Response(str(own.inside.pending), media_type="text/html")


@router.post("/ui/jobs/{id}/up")
async def up(request: Request, own: Own, id: Id) -> Response:
    """One place forward."""
    line = [job.id for job in await own.jobs("queued", limit=10_000)]
    place = line.index(id) if id in line else 0
    if place > 0:
        await own.move(id, line[place - 1])
    return await _after(request, own)


@router.post("/ui/jobs/{id}/down")
async def down(request: Request, own: Own, id: Id) -> Response:
    """One place back."""
    line = [job.id for job in await own.jobs("queued", limit=10_000)]
    place = line.index(id) if id in line else len(line)
    if place < len(line) - 1:
        await own.move(id, line[place + 2] if place + 2 < len(line) else None)
    return await _after(request, own)


@router.post("/ui/jobs/{id}/stop")
async def stop(request: Request, own: Own, id: Id) -> Response:
    """Cancel: what waits at once, what runs at its next step. What is made stays."""
    if await own.job(id) is None:
        raise NoSuchJob(id)
    await own.cancel(id)
    return await _after(request, own)


async def standing(own: Service) -> dict[str, object]:
    """What runs, and who waits: each job with the seconds until it begins, as measured."""
    running, queued = await own.standing(SHOWN)
    return {
        "running": [(job, left(own, job)) for job in reversed(running)],
        "queued": [(job, own.seconds_until(job)) for job in queued],
        "pending": own.inside.pending,
        "most": own.options.most_waiting,
        "each": own.inside.rate.seconds_each,
    }


def left(own: Service, job: Job) -> float:
    """A guess at the seconds that a running job still takes."""
    return own.inside.rate.wait(max(0, job.n - len(job.made)))


async def _after(request: Request, own: Service) -> Response:
    return await panel(own) if wants_fragment(request) else back(request, "/queue")
