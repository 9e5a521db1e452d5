"""``/v1/images``: generations and edits."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from limner.errors import InvalidRequest, Refused
from limner.serve.errors import Fault, fault_of
from limner.serve.jobs import Job
from limner.serve.openai.answers import Answering, What
from limner.serve.openai.asked import Asked
from limner.serve.openai.drafting import Draft, draft
from limner.serve.openai.editing import edited
from limner.serve.openai.reading import read_form, read_json
from limner.serve.openai.streaming import fault_of_job, streamed
from limner.serve.openai.waiting import Visit, Waiting, follow, waiting
from limner.serve.openai.wording import Retired, WrongValue, error_of, status_of
from limner.serve.service import Service
from limner.serve.shell import service

router = APIRouter()
CLIENT = "openai"
AGAIN = 20  # times that one idempotency key may begin anew what was cancelled
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_SCHEMA = {**Asked.model_json_schema(), "additionalProperties": True}
_JSON: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}}
_BINARY = {"type": "string", "format": "binary"}
_FORM_SCHEMA = {
    **_SCHEMA,
    "properties": {**_SCHEMA["properties"], "image": _BINARY, "mask": _BINARY},
    "required": ["prompt", "image"],
}
_FORM: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM_SCHEMA}}}
}


@router.post("/images/generations", openapi_extra=_JSON)
async def generations(request: Request) -> Response:
    """Draw pictures of a prompt. Parameters beside OpenAI's are fields of a Limner Request."""
    sent = await read_json(request)
    asked, ours = Asked.of(sent)
    if asked.input_fidelity is not None:
        raise WrongValue("input_fidelity: there is no picture to be faithful to", field="input_fidelity")
    return await answered(request, asked, ours, Visit.of(request, sent), "image_generation")


@router.post("/images/edits", openapi_extra=_FORM)
async def edits(request: Request) -> Response:
    """Draw over a picture, or in that part of it where a mask is transparent."""
    form = await read_form(request)
    asked, ours = Asked.of(form.fields, typed=False)
    visit = Visit.of(request, form.sent)
    if not await repeats(request, visit):
        service(request).admit(asked.n)  # before pictures are decoded
    pictures = await edited(service(request), asked, ours, form)
    return await answered(request, asked, {**ours, **pictures}, visit, "image_edit")


@router.post("/images/variations")
async def variations(request: Request) -> Response:
    """OpenAI retired it with DALL-E 2."""
    raise Retired(
        "/v1/images/variations was retired", hint="send the picture to /v1/images/edits with a prompt and a strength"
    )


async def answered(request: Request, asked: Asked, ours: Mapping[str, JsonValue], visit: Visit, what: What) -> Response:
    """Draw, and answer when it is done, or while it is."""
    own = service(request)
    try:
        if not await repeats(request, visit):
            own.admit(asked.n)
        drafted = await draft(own, asked, ours)
        how = Answering.of(own, asked, request, what, drafted.answered)
        if asked.stream:
            drawn = (await own.plan(drafted.request.but(n=1)))[0].recipe.finished
            job = await accepted(request, own, asked, drafted, visit)
            return Stream(streamed(request, job, visit, how, drawn), waiting(request), job.id)
        job = await accepted(request, own, asked, drafted, visit)
        async for _ in follow(request, job.id, visit):
            pass
        over = await own.job(job.id)
        assert over is not None
        if over.state != "done":
            return _failed(fault_of_job(over), asked)
        return JSONResponse(await how.whole(over))
    except Refused as error:
        return _failed(fault_of(error), asked)


class Stream(StreamingResponse):
    """Events of a job, which nobody wants where its client has gone before the first of them."""

    def __init__(self, events: AsyncIterator[bytes], known: Waiting, job: str) -> None:
        super().__init__(events, media_type="text/event-stream", headers=HEADERS)
        self._known, self._job = known, job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._known.unwanted(self._job)


async def repeats(request: Request, visit: Visit) -> bool:
    """Whether this goes on with a job that there is: then a full queue is no reason to refuse it."""
    key = request.headers.get("idempotency-key")
    return waiting(request).known(visit) is not None or (
        key is not None and await service(request).known(_key(key, 0)) is not None
    )


async def accepted(request: Request, own: Service, asked: Asked, drafted: Draft, visit: Visit) -> Job:
    """The job: a new one, or that of the request which this one repeats. Raises what ``Service.draw`` does."""
    if (name := waiting(request).known(visit)) is not None and (lost := await own.job(name)) is not None:
        return lost
    given = request.headers.get("idempotency-key")
    key = None if given is None else await _free_key(own, given)
    job = await own.draw(
        drafted.request,
        client=CLIENT,
        key=key,
        previews=asked.stream and asked.partial_images > 0,
        notices=drafted.notices,
    )
    if dict(job.body) != drafted.request.model_dump(mode="json", exclude_defaults=True):
        raise InvalidRequest(
            "the idempotency key was used for another request", field="idempotency-key", hint="use a new key"
        )
    return job


async def _free_key(own: Service, given: str) -> str:
    """The queue's key of an idempotency key: the next one, where what was begun with the last was cancelled, as when
    its client hung up, or failed in a way that may pass."""
    for again in range(AGAIN):
        job = await own.known(_key(given, again))
        useless = job is not None and (job.state == "cancelled" or (job.error is not None and job.error.retry))
        if not useless:
            break
    return _key(given, again)


def _key(given: str, again: int) -> str:
    return f"{CLIENT}:{hashlib.sha256(given.encode()).hexdigest()}:{again}"


def _failed(found: Fault, asked: Asked) -> Response:
    error = error_of(found, of_old=asked.legacy)
    return JSONResponse({"error": error}, status_of(found), dict(found.headers))
