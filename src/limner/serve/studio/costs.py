"""Before the click: what it will cost, and the fields that the chosen model has."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from limner.errors import LimnerError, Refused
from limner.serve.names import refuse_paths
from limner.serve.service import Service
from limner.serve.shell import service
from limner.serve.studio.chooser import card_of, chooser
from limner.serve.studio.controls import honours
from limner.serve.studio.forms import Form, request_of
from limner.serve.studio.rail import rail
from limner.serve.studio.templating import form_of, fragment

router = APIRouter()
Own = Annotated[Service, Depends(service)]


@router.post("/ui/cost")
async def cost(request: Request, own: Own) -> Response:
    """Seconds and memory of what the form asks for, or what stands against it."""
    form = Form(await form_of(request))
    return fragment("create/_cost.html", await asyncio.to_thread(partial(estimated, own, form)))


@router.post("/ui/settings")
async def settings(request: Request, own: Own) -> Response:
    """The settings of the form for its model; what was typed stays."""
    form = Form(await form_of(request))
    return fragment("create/_settings.html", await asyncio.to_thread(partial(rail, own, form)))


def estimated(own: Service, form: Form) -> dict[str, object]:
    """What the cost line shows. Asks the disk, never the network."""
    said: dict[str, object] = {"seconds": None, "memory": None, "fetch": 0, "wait": 0.0, "trouble": "", "basis": ""}
    choices = chooser(own)
    name = form.one("model") or choices.default
    card = card_of(own, name)
    if not choices.here(name):
        view = choices.view(name)
        return {**said, "fetch": choices.to_fetch(name), "memory": None if view is None else view.memory_bytes}
    try:
        asked = form if form.one("prompt").strip() else form.but(prompt="a picture")
        wanted = request_of(asked, card, honours(card))
        refuse_paths(wanted)
        plans = own.session.foresee(wanted)
    except LimnerError as error:
        refused = isinstance(error, Refused)  # said when it is asked for; while typing, words are unfinished
        return {**said, "trouble": "" if refused else error.message}
    seconds = [plan.estimate.seconds_per_image for plan in plans]
    total = (
        None
        if None in seconds
        else sum((each or 0) * len(plan.seeds) for each, plan in zip(seconds, plans, strict=True))
    )
    wait = own.inside.rate.wait(own.inside.pending)
    first = plans[0].estimate
    return {**said, "seconds": total, "memory": first.peak_bytes, "wait": wait, "basis": first.basis}
