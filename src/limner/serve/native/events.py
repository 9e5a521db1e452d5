"""Server-sent events: what happens to all jobs, or to one."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query
from pydantic import JsonValue
from starlette.responses import StreamingResponse

from limner.serve.jobs import Tiding
from limner.serve.native.answers import JobView
from limner.serve.native.bodies import JobId
from limner.serve.native.lookup import NoSuchJob
from limner.serve.shell import Shell, shell

router = APIRouter(tags=["events"])
BEAT = 15.0  # seconds of silence after which a comment keeps the connection from being taken for dead
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "events without end"}
}
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
In = Annotated[Shell, Depends(shell)]
After = Annotated[int | None, Query(ge=0, le=2**53)]
LastId = Annotated[str | None, Header(max_length=40)]


@router.get("/events", response_class=StreamingResponse, responses=STREAM)
async def events(
    inside: In, after: After = None, last_event_id: LastId = None, previews: bool = True
) -> StreamingResponse:
    """All that happens, from now on; after ``Last-Event-ID`` (or ``after``), what is still known of it first.

    The first event is ``hello`` {seq, reset}; with ``reset`` not all that was missed is known any more: look at
    everything anew. Each other event is named by its type, and its data is {seq, job, type, ...}; a ``step`` may have
    a ``preview``, a WebP as base64.
    """
    seq = inside.service.hub.seq
    known = _number(last_event_id) if after is None else after
    reset = known is not None and not inside.service.hub.knows(known)
    start = seq if known is None or reset else known

    async def stream() -> AsyncIterator[bytes]:
        yield b"retry: 2000\n" + sent("hello", {"seq": start, "reset": reset}, start)
        async for each in told(inside, inside.service.listen(None, start), previews=previews):
            yield each

    return StreamingResponse(stream(), media_type="text/event-stream", headers=HEADERS)


@router.get("/jobs/{id}/events", response_class=StreamingResponse, responses=STREAM)
async def events_of_a_job(inside: In, id: Annotated[JobId, Path()], previews: bool = True) -> StreamingResponse:
    """What happens to one job, to its end. The first event is ``state``, the job as it stands; so is the last."""
    own = inside.service
    seq = own.hub.seq
    job = await own.job(id)
    if job is None:
        raise NoSuchJob(id)

    async def stream() -> AsyncIterator[bytes]:
        yield sent("state", JobView.of(job, own).model_dump(mode="json"), seq)
        if job.over:
            return
        async for each in told(inside, own.listen(id, seq), previews=previews, until_over=True):
            yield each
        over = await own.job(id)
        if over is not None:
            yield sent("state", JobView.of(over, own).model_dump(mode="json"), own.hub.seq)

    return StreamingResponse(stream(), media_type="text/event-stream", headers=HEADERS)


async def told(
    inside: Shell, tidings: AsyncIterator[Tiding], *, previews: bool = True, until_over: bool = False
) -> AsyncIterator[bytes]:
    """Tidings as server-sent events, with a sign of life in silence; they end when the server does."""
    closing = asyncio.ensure_future(_closed(inside))
    step = asyncio.ensure_future(_next(tidings))
    try:
        while not closing.done():
            await asyncio.wait({step, closing}, timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                if not closing.done():
                    yield b": still here\n\n"
                continue
            tiding = step.result()
            if tiding is None:
                return
            yield written(tiding, previews=previews)
            if until_over and tiding.last:
                return
            step = asyncio.ensure_future(_next(tidings))
    finally:
        closing.cancel()
        step.cancel()


def written(tiding: Tiding, *, previews: bool = True) -> bytes:
    """A Tiding as an event."""
    data: dict[str, JsonValue] = {"seq": tiding.seq, "job": tiding.job, "type": tiding.type, **tiding.data}
    if previews and tiding.preview is not None:
        data["preview"] = base64.b64encode(tiding.preview).decode()
    return sent(tiding.type, data, tiding.seq)


def sent(name: str, data: object, seq: int) -> bytes:
    """One event. JSON has no line breaks of its own."""
    return f"id: {seq}\nevent: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


async def _next(tidings: AsyncIterator[Tiding]) -> Tiding | None:
    return await anext(tidings, None)


async def _closed(inside: Shell) -> Tiding | None:
    await inside.closing.wait()
    return None


def _number(text: str | None) -> int | None:
    """What a browser says it heard last; nonsense is nothing."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
