"""The mask editor: paint over a part of a picture, say what goes there, have it drawn."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request as Asked
from starlette.responses import Response

from limner.errors import InvalidRequest
from limner.library.entries import Entry
from limner.models.upscaling.family import NAME as UPSCALING
from limner.serve.jobs import Ask, Job
from limner.serve.native.lookup import NoSuchJob
from limner.serve.native.pictures import PictureView, get
from limner.serve.shell import Shell, shell
from limner.serve.studio.ids import JobHere, PictureHere
from limner.serve.studio.templating import form_of, fragment, page
from limner.session.replay import request_of
from limner.types import Adapter, Request

router = APIRouter()
In = Annotated[Shell, Depends(shell)]
Id = PictureHere
STRENGTH = 0.8
SEEDS = 2**32 - 1_000


@router.get("/i/{id}/edit")
async def edit(request: Asked, inside: In, id: Id) -> Response:
    """The page."""
    entry = await asyncio.to_thread(partial(get, inside, id))
    said = {"picture": PictureView.of(entry), "strength": STRENGTH}
    return page(request, "editor/page.html", "gallery", said)


@router.post("/ui/i/{id}/fill")
async def fill(request: Asked, inside: In, id: Id) -> Response:
    """Draw anew what is white in ``mask`` (an uploaded picture's name): ``prompt`` says what, ``strength`` (0.05 to 1)
    how much of what is there goes. Without words the picture's own are used."""
    form = {name: values[0] for name, values in (await form_of(request)).items()}
    entry = await asyncio.to_thread(partial(get, inside, id))
    inside.service.admit(1)
    ask = await asyncio.to_thread(partial(asked, inside, entry, form))
    return await _shown(inside, entry, await inside.service.submit(ask), "editor/_job.html")


@router.get("/ui/i/{id}/fill/{job}")
async def state(inside: In, id: Id, job: JobHere) -> Response:
    """How it stands; with the picture, once there is one."""
    entry = await asyncio.to_thread(partial(get, inside, id))
    found = await inside.service.job(job)
    if found is None:
        raise NoSuchJob(job)
    return await _shown(inside, entry, found, "editor/_state.html")


def asked(inside: Shell, entry: Entry, form: dict[str, str]) -> Ask:
    """What a filled form asks of the queue. Takes the picture into the input store. Raises ``InvalidRequest``,
    ``Refused``, ``StorageError``."""
    session = inside.service.session
    base, adapters = _base(entry)
    if not form.get("mask"):
        raise InvalidRequest("nothing is masked", field="mask", hint="paint over what is to be drawn anew")
    wanted = base.but(
        prompt=form.get("prompt", "").strip() or base.prompt,
        init=session.take_in(entry.path),
        mask=form["mask"],
        strength=form.get("strength") or STRENGTH,
        width=entry.width,
        height=entry.height,
        n=1,
        seed=secrets.randbelow(SEEDS),
    )
    plans = session.plan(wanted, literal=True, parent=entry.id, pinned=adapters)
    return Ask(
        kind="draw",
        body=wanted.model_dump(mode="json", exclude_defaults=True),
        plans=tuple(plan.model_dump(mode="json") for plan in plans),
        n=sum(len(plan.seeds) for plan in plans),
        title=plans[0].prompt,
        client="studio",
        notices=tuple(each for plan in plans for each in (*plan.notices, *plan.checks)),
    )


def _base(entry: Entry) -> tuple[Request, tuple[Adapter, ...] | None]:
    """The picture's own settings, less what a part drawn anew has no use for; the user's where they are not known."""
    if entry.record is None or entry.record.recipe.family == UPSCALING:
        return Request.of(prompt=entry.prompt or "a picture"), None
    blank = {name: Request.model_fields[name].default for name in _LEFT}
    return request_of(entry.record).but(**blank), entry.record.adapters


_LEFT = (
    "variation",
    "variation_seed",
    "morph",
    "morph_to",
    "hires",
    "hires_strength",
    "hires_steps",
    "hires_upscaler",
    "upscale",
    "mask_invert",
    "mask_blur",
    "inpaint_fill",
    "inpaint_padding",
    "resize",
    "device",
    "dtype",
)


async def _shown(inside: Shell, entry: Entry, job: Job, template: str) -> Response:
    made = job.made[0] if job.made else None
    picture = None if made is None else PictureView.of(await asyncio.to_thread(partial(get, inside, made)))
    said = {"id": entry.id, "job": job, "picture": picture, "wait": inside.service.seconds_until(job)}
    return fragment(template, said)
