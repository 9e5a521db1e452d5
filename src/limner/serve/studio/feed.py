"""The feed: what is drawn and what was, newest first; each job's state and pictures as fragments."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from limner.serve.jobs import Job
from limner.serve.native.bodies import JobId
from limner.serve.native.lookup import NoSuchJob
from limner.serve.shell import Shell, shell
from limner.serve.studio.cards import JobCard, card
from limner.serve.studio.templating import fragment, see, wants_fragment

router = APIRouter()
In = Annotated[Shell, Depends(shell)]
Id = Annotated[JobId, Path()]


@router.get("/ui/jobs/{id}")
async def whole(inside: In, id: Id) -> Response:
    """A job's whole card."""
    return fragment("create/_job.html", {"card": await _card(inside, id)})


@router.get("/ui/jobs/{id}/state")
async def state(inside: In, id: Id) -> Response:
    """How a job stands: the part of its card that changes."""
    return fragment("create/_state.html", {"card": await _card(inside, id)})


@router.get("/ui/jobs/{id}/tiles/{index}")
async def tile(inside: In, id: Id, index: Annotated[int, Path(ge=0, le=1_000)]) -> Response:
    """A picture of a job, once it is there, with what can be done with it."""
    found = await _card(inside, id)
    place = next((each for each in found.places if each.index == index and each.picture is not None), None)
    if place is None:
        raise HTTPException(404)
    return fragment("create/_tile.html", {"card": found, "place": place})


@router.post("/ui/jobs/{id}/cancel")
async def cancel(request: Request, inside: In, id: Id) -> Response:
    """Stop it; the answer is how it stands then."""
    if await inside.service.job(id) is None:
        raise NoSuchJob(id)
    await inside.service.cancel(id)
    return await state(inside, id) if wants_fragment(request) else see("/")


async def shown(inside: Shell, job: Job, *, status: int = 200) -> Response:
    """A new job's card, for the head of the feed."""
    made = await asyncio.to_thread(partial(card, inside, job))
    return fragment("create/_job.html", {"card": made}, status=status)


async def _card(inside: Shell, id: str) -> JobCard:
    job = await inside.service.job(id)
    if job is None:
        raise NoSuchJob(id)
    return await asyncio.to_thread(partial(card, inside, job))
