"""``/livez`` and ``/readyz``: is the server alive, and can it take work?"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from limner.serve.service import Service
from limner.serve.shell import service
from limner.types.base import Frozen

router = APIRouter(tags=["health"])


class Live(Frozen):
    """The process answers."""

    live: bool = True


class Ready(Frozen):
    """Whether work can be done: ``worker`` is loaded, and the server is not ``draining``."""

    ready: bool
    worker: bool
    draining: bool
    waiting: int


@router.get("/livez")
async def livez() -> Live:
    """The process answers. Asks nothing of the disk or the worker."""
    return Live()


@router.get("/readyz", responses={503: {"model": Ready}})
async def readyz(own: Annotated[Service, Depends(service)]) -> Ready:
    """Whether work can be done now: 200, or 503."""
    inside = own.inside
    found = Ready(
        ready=inside.crew.ready and not inside.draining,
        worker=inside.crew.ready,
        draining=inside.draining,
        waiting=inside.pending,
    )
    return found if found.ready else JSONResponse(found.model_dump(), 503)  # type: ignore[return-value]
