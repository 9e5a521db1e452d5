"""``/progress``, ``/interrupt`` and ``/skip``: of the request that came first of those that are being answered."""

from __future__ import annotations

import asyncio
import base64
import io
from typing import Annotated

from fastapi import APIRouter, Depends
from PIL import Image
from pydantic import JsonValue
from starlette.responses import JSONResponse, Response

from limner.serve.a1111.results import stamp
from limner.serve.a1111.state import Desk, Task, desk
from limner.serve.a1111.wording import answer
from limner.serve.service import Service
from limner.serve.shell import service

router = APIRouter()
Own = Annotated[Service, Depends(service)]
Inside = Annotated[Desk, Depends(desk)]


@router.get("/progress", response_class=JSONResponse)
async def progress(inside: Inside, skip_current_image: bool = False) -> Response:
    """How far it is: 0 with a ``job_count`` of 0 where nothing is being drawn for the web UI's clients.
    ``current_image`` is a preview, where there is one."""
    task = inside.task
    picture: str | None = None
    if task is not None and task.preview is not None and not skip_current_image:
        picture = await asyncio.to_thread(_png, task.preview)
    return answer(
        {
            "progress": 0.0 if task is None else task.progress,
            "eta_relative": 0.0 if task is None else task.left,
            "state": _state(task),
            "current_image": picture,
            "textinfo": None if task is None else _said(inside, task),
            "current_task": None if task is None else task.name,
        }
    )


@router.post("/interrupt", response_class=JSONResponse)
async def interrupt(own: Own, inside: Inside) -> Response:
    """Stop within a step. The request that waits is answered with the pictures that are finished."""
    task = inside.task
    if task is not None:
        task.interrupted = True
        if task.job is not None:
            await own.cancel(task.job)
    return answer({})


@router.post("/skip", response_class=JSONResponse)
async def skip(inside: Inside) -> Response:
    """Pictures are drawn side by side: none is skipped, and the answer's ``limner_notices`` say so."""
    if inside.task is not None:
        inside.task.skipped = True
    return answer(None)


def _state(task: Task | None) -> dict[str, JsonValue]:
    if task is None:
        return {**IDLE}
    done, of = task.current
    return {
        "skipped": False,
        "interrupted": task.interrupted,
        "stopping_generation": task.interrupted,
        "job": task.name,
        "job_count": task.n,
        "job_timestamp": stamp(task.began),
        "job_no": min(len(task.made), task.n - 1),
        "sampling_step": done,
        "sampling_steps": of,
    }


IDLE: dict[str, JsonValue] = {
    "skipped": False,
    "interrupted": False,
    "stopping_generation": False,
    "job": "",
    "job_count": 0,
    "job_timestamp": "0",
    "job_no": 0,
    "sampling_step": 0,
    "sampling_steps": 0,
}


def _said(inside: Desk, task: Task) -> str | None:
    others = len(inside.tasks) - 1
    waiting = f"{others} more waiting" if others else ""
    return ", ".join(each for each in (task.said if not task.steps else "", waiting) if each) or None


def _png(preview: bytes) -> str:
    with Image.open(io.BytesIO(preview), formats=("WEBP",)) as image:
        out = io.BytesIO()
        image.convert("RGB").save(out, "PNG", compress_level=1)
    return base64.b64encode(out.getvalue()).decode("ascii")
