"""More of a picture: near it, or the same words with new seeds. New pictures join the old ones."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request as Asked
from starlette.responses import Response

from limner.errors import InvalidRequest
from limner.library.entries import Entry
from limner.serve.jobs import Ask, Job
from limner.serve.native.pictures import get
from limner.serve.shell import Shell, shell
from limner.serve.studio.feed import shown
from limner.serve.studio.forms import PICTURES_SHOWN
from limner.serve.studio.ids import PictureHere
from limner.serve.studio.templating import form_of, see, wants_fragment
from limner.session.replay import request_of
from limner.types import Record, Request

router = APIRouter()
In = Annotated[Shell, Depends(shell)]
Id = PictureHere
AMOUNTS = {"subtle": 0.2, "strong": 0.5}
"""Shares of new noise, mixed in spherically."""
SEEDS = 2**32 - 1_000


@router.post("/ui/i/{id}/vary")
async def vary(request: Asked, inside: In, id: Id) -> Response:
    """Pictures near this one: ``amount`` is ``subtle`` or ``strong``."""
    amount = (await form_of(request)).get("amount", ["subtle"])[0]
    if amount not in AMOUNTS:
        raise InvalidRequest("amount: it is subtle or strong", field="amount")
    change = {"variation": AMOUNTS[amount], "variation_seed": secrets.randbelow(SEEDS)}
    return await _drawn(request, inside, id, change)


@router.post("/ui/i/{id}/again")
async def again(request: Asked, inside: In, id: Id) -> Response:
    """The same words and settings, with new seeds."""
    fresh = {"seed": secrets.randbelow(SEEDS), "variation": 0.0, "variation_seed": None}
    return await _drawn(request, inside, id, fresh)


async def _drawn(request: Asked, inside: Shell, id: str, change: Mapping[str, object]) -> Response:
    entry = await asyncio.to_thread(partial(get, inside, id))
    job = await accepted(inside, entry, {"n": PICTURES_SHOWN, "device": None, "dtype": None, **change})
    return await shown(inside, job) if wants_fragment(request) else see("/")


async def accepted(inside: Shell, entry: Entry, change: Mapping[str, object]) -> Job:
    """Draw a picture's Record with changes, as its child: its words as they were drawn, its adapters. Raises
    ``InvalidRequest`` for another program's picture, and what ``Service.draw`` does."""
    record = entry.record
    if record is None:
        raise InvalidRequest(
            "this picture was made elsewhere: how it was drawn is not known",
            field="picture",
            hint="use it as a start picture instead",
        )
    own = inside.service
    own.admit(PICTURES_SHOWN)
    wanted, ask = await asyncio.to_thread(partial(_asked, inside, entry.id, record, change))
    return await own.submit(ask.model_copy(update={"body": wanted.model_dump(mode="json", exclude_defaults=True)}))


def _asked(inside: Shell, id: str, record: Record, change: Mapping[str, object]) -> tuple[Request, Ask]:
    wanted = request_of(record).but(**change)
    plans = inside.service.session.plan(wanted, literal=True, parent=id, pinned=record.adapters)
    return wanted, Ask(
        kind="draw",
        body={},
        plans=tuple(plan.model_dump(mode="json") for plan in plans),
        n=sum(len(plan.seeds) for plan in plans),
        title=plans[0].prompt,
        client="studio",
        notices=tuple(each for plan in plans for each in (*plan.notices, *plan.checks)),
    )
