"""``/txt2img`` and ``/img2img``: draw, and answer when it is done, or as far as it came when it was interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from limner.serve.a1111.asking import draft
from limner.serve.a1111.bodies import Drawing, Img2Img, Txt2Img
from limner.serve.a1111.pictures import taken_in
from limner.serve.a1111.results import result
from limner.serve.a1111.state import Desk, Task, desk
from limner.serve.a1111.wording import answer, worded
from limner.serve.errors import fault_of_trouble
from limner.serve.jobs import Job
from limner.serve.shell import follow, service

router = APIRouter()
CLIENT = "a1111"
Inside = Annotated[Desk, Depends(desk)]


@router.post("/txt2img", response_class=JSONResponse)
async def txt2img(request: Request, inside: Inside, body: Txt2Img) -> Response:
    """Draw pictures from words."""
    with inside.answering("txt2img", body.n, body.force_task_id) as task:
        return await _answered(request, inside, body, task, {})


@router.post("/img2img", response_class=JSONResponse)
async def img2img(request: Request, inside: Inside, body: Img2Img) -> Response:
    """Draw over a picture, or where a mask is white."""
    own = service(request)
    with inside.answering("img2img", body.n, body.force_task_id) as task:
        own.admit(body.n)  # before pictures are decoded
        return await _answered(request, inside, body, task, await taken_in(own, body))


async def _answered(request: Request, inside: Desk, body: Drawing, task: Task, pictures: Mapping[str, str]) -> Response:
    own = service(request)
    own.admit(body.n)
    drafted = await asyncio.to_thread(partial(draft, own, body, inside.options, pictures))
    job = await own.draw(drafted.request, client=CLIENT, notices=drafted.notices)
    if not body.override_settings_restore_afterwards:
        inside.options.set(body.override_settings)
    job = await finished(request, task, job)
    if job.state == "failed" and job.error is not None:
        return worded(request, fault_of_trouble(job.error))
    return answer(await result(own, body, drafted, job, task))


async def finished(request: Request, task: Task, job: Job) -> Job:
    """The job when it is over, which ``task`` hears of. Raises as ``shell.follow``."""
    own = service(request)
    task.job = job.id
    if task.interrupted:  # before there was a job to stop
        await own.cancel(job.id)
    async for tiding in follow(request, job.id):
        task.heard(tiding)
    over = await own.job(job.id)
    return job if over is None else over
