"""Before the click: what it will cost, and the fields that the chosen model has."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from limner.errors import LimnerError, Refused
from limner.models.catalog import Card
from limner.serve.names import refuse_paths
from limner.serve.service import Service
from limner.serve.shell import service
from limner.serve.studio.chooser import card_of, chooser
from limner.serve.studio.controls import honours
from limner.serve.studio.forms import Form, request_of
from limner.serve.studio.rail import rail
from limner.serve.studio.templating import form_of, fragment
from limner.serve.studio.timing import measured
from limner.types import Plan

router = APIRouter()
ANY = "a picture"
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
        plans = _foreseen(own, form if form.one("prompt").strip() else form.but(prompt=ANY), card)
    except LimnerError as error:
        return {**said, "trouble": error.message}
    wanted = plans[0].asked
    first = plans[0].estimate
    n = sum(len(plan.seeds) for plan in plans)
    each = measured(own, wanted)
    basis = first.basis if each is None else "as those like it took here"
    each = first.seconds_per_image if each is None else each
    wait = own.inside.rate.wait(own.inside.pending)
    total = None if each is None else each * n
    return {**said, "seconds": total, "memory": first.peak_bytes, "wait": wait, "basis": basis}


def _foreseen(own: Service, form: Form, card: Card | None) -> tuple[Plan, ...]:
    """Plans of what the form asks for; of refused words, those of any others, which cost as much: a refusal is said
    when it is asked for, because while typing words are unfinished."""
    wanted = request_of(form, card, honours(card))
    refuse_paths(wanted)
    try:
        return own.session.foresee(wanted)
    except Refused:
        return own.session.foresee(wanted.but(prompt=ANY, negative=None, morph_to=None))
