"""A stream of events: partial pictures while one is drawn, each picture when it is finished, an error as data."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from limner.errors import Cancelled, LimnerError
from limner.serve.errors import Fault, fault_of, fault_of_trouble
from limner.serve.openai.encoding import aside, partial_picture
from limner.serve.openai.sizes import text_of
from limner.serve.openai.waiting import Visit, follow
from limner.serve.openai.wording import error_of

if TYPE_CHECKING:
    from pydantic import JsonValue
    from starlette.requests import Request

    from limner.serve.jobs import Job, Tiding
    from limner.serve.openai.answers import Answering
    from limner.serve.openai.sizes import Size


async def streamed(request: Request, job: Job, visit: Visit, how: Answering, drawn: Size) -> AsyncIterator[bytes]:
    """The events of a job. ``drawn``: the size it is drawn in."""
    partials = Partials(how, drawn)
    sent: set[str] = set()
    try:
        async with aclosing(follow(request, job.id, visit)) as tidings:
            async for tiding in tidings:
                if tiding is None:
                    yield b": still here\n\n"
                elif tiding.type == "step":
                    async for each in partials.of(tiding):
                        yield each
                elif tiding.type == "made":
                    picture = str(tiding.data["picture"])
                    sent.add(picture)
                    yield event(await how.completed(job, await how.entry(picture)))
        over = await how.own.job(job.id)
        assert over is not None
        for picture in over.made:
            if picture not in sent:
                yield event(await how.completed(over, await how.entry(picture)))
        if over.state != "done":
            yield failed(fault_of_job(over), of_old=how.asked.legacy)
    except Cancelled:  # nobody listens
        return
    except LimnerError as error:
        yield failed(fault_of(error), of_old=how.asked.legacy)


class Partials:
    """Which previews of a picture are sent: so many as were asked for, evenly over its steps."""

    def __init__(self, how: Answering, drawn: Size) -> None:
        self._how, self._size = how, how.answered or drawn
        self._sent: dict[int, int] = {}

    async def of(self, tiding: Tiding) -> AsyncIterator[bytes]:
        index, share = int(str(tiding.data["index"])), _share(tiding)
        sent, most = self._sent.get(index, 0), self._how.asked.partial_images
        if tiding.preview is None or sent >= most or share >= 1 or share < (sent + 1) / (most + 1):
            return
        self._sent[index] = sent + 1
        picture = await aside(partial_picture, tiding.preview, self._how.asked.format, self._size)
        yield event(
            {
                "type": f"{self._how.what}.partial_image",
                "b64_json": picture,
                "partial_image_index": sent,
                "created_at": int(time.time()),
                "background": "opaque",
                "output_format": self._how.asked.output_format,
                "quality": self._how.asked.level,
                "size": text_of(self._size),
                "image_index": index,
            }
        )


def event(data: dict[str, JsonValue]) -> bytes:
    """One event, named by its type."""
    return f"event: {data['type']}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def failed(found: Fault, *, of_old: bool) -> bytes:
    """An error, as the last event."""
    data = json.dumps({"type": "error", "error": error_of(found, of_old=of_old)}, separators=(",", ":"))
    return f"event: error\ndata: {data}\n\n".encode()


def fault_of_job(job: Job) -> Fault:
    """Why a job that is over has not all of its pictures."""
    if job.error is None:
        return fault_of(Cancelled("the job was cancelled"))
    found = fault_of_trouble(job.error)
    if not job.made:
        return found
    hint = f"{found.trouble.hint} {len(job.made)} of {job.n} pictures were made: {', '.join(job.made)}".strip()
    return Fault(found.status, found.trouble.model_copy(update={"hint": hint}), found.headers)


def _share(tiding: Tiding) -> float:
    step, steps = (float(str(tiding.data[name])) for name in ("step", "steps"))
    return step / max(steps, 1.0)
