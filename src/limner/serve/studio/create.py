"""The Create page: a picture now."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from limner.errors import ModelNotFound, PictureNotFound
from limner.library.entries import Query as Sought
from limner.serve.jobs import Job
from limner.serve.native.accepting import accept
from limner.serve.native.bodies import DrawJob, PictureId, PullJob
from limner.serve.native.pictures import PictureView, get
from limner.serve.shell import Shell, shell
from limner.serve.studio.cards import card, cards
from limner.serve.studio.chooser import card_of, chooser
from limner.serve.studio.controls import honours
from limner.serve.studio.feed import shown
from limner.serve.studio.forms import PICTURES_SHOWN, Form, form_of_request, nonce, request_of
from limner.serve.studio.hints import found as hints_of
from limner.serve.studio.rail import rail
from limner.serve.studio.templating import form_of, fragment, page, see, wants_fragment

router = APIRouter()
In = Annotated[Shell, Depends(shell)]
EARLIER = 12
FED = 12  # jobs that the page shows
LOOKED_AT = 100
EXAMPLES = (
    ("fox", "a fox in the snow"),
    ("whale", "a whale in the sea"),
    ("mushroom", "a mushroom in a forest"),
    ("apple", "a red apple"),
)
"""Pictures that the built-in model drew, with their words."""


@router.get("/")
async def create(
    request: Request,
    inside: In,
    prompt: Annotated[str, Query(max_length=20_000)] = "",
    model: Annotated[str, Query(max_length=200)] = "",
    like: Annotated[PictureId | None, Query(alias="from")] = None,
    start: Annotated[PictureId | None, Query()] = None,
) -> Response:
    """The page. ``prompt`` and ``model`` fill the form, ``from`` with all the settings of a picture; ``start`` is the
    picture to draw over."""
    form = await asyncio.to_thread(partial(_form, inside, prompt, model, like, start))
    own = inside.service
    jobs = await own.jobs(limit=LOOKED_AT)
    made = await asyncio.to_thread(partial(cards, inside, jobs))
    context = await asyncio.to_thread(partial(rail, own, form))
    hints = await asyncio.to_thread(partial(hints_of, own, form.one("prompt"), form.one("model")))
    earlier = [] if made else await asyncio.to_thread(partial(_earlier, inside))
    given = bool(prompt or like or start)
    said = {"earlier": earlier, "cards": made[:FED], "examples": EXAMPLES, "key": nonce(), "given": given}
    return page(request, "create/page.html", "create", {**context, **hints, **said})


@router.post("/ui/jobs")
async def draw(request: Request, inside: In) -> Response:
    """Draw what the form asks for. A model that is not here is fetched first."""
    form = Form(await form_of(request))
    own = inside.service
    choices = await asyncio.to_thread(partial(chooser, own))
    name = form.one("model") or choices.default
    if not choices.here(name):
        if form.one("after"):  # it was fetched for this very form: not again and again
            raise ModelNotFound(f"{name} was fetched, and is not whole", hint=f"limner models verify {name}")
        job = await accept(own, PullJob(kind="pull", name=name), client="studio")
        return await _answer(request, inside, job, form)
    model = await asyncio.to_thread(partial(card_of, own, name))
    wanted = request_of(form, model, honours(model))
    asked = DrawJob(request=wanted, parent=form.one("parent") or None)
    return await _answer(request, inside, await accept(own, asked, key=form.one("key") or None, client="studio"), form)


async def _answer(request: Request, inside: Shell, job: Job, form: Form) -> Response:
    if not wants_fragment(request):
        return see("/")
    if job.kind == "pull":
        made = await asyncio.to_thread(partial(card, inside, job))
        said = {"card": made, "pending": _pending(form), "pending_prompt": form.one("prompt")}
        return fragment("create/_job.html", said)
    return await shown(inside, job)


def _earlier(inside: Shell) -> list[PictureView]:
    """The newest pictures of a library that this server has not drawn into yet. Asks the disk."""
    hidden = inside.doomed.ids
    found = inside.service.session.library.list(Sought(limit=EARLIER, lost=False))
    return [PictureView.of(each) for each in found if each.id not in hidden]


def _pending(form: Form) -> list[tuple[str, str]]:
    """The form again, to be sent when the model is here."""
    return [(name, value) for name, values in form.values.items() for value in values if name not in ("key", "file")]


def _form(inside: Shell, prompt: str, model: str, like: str | None, start: str | None) -> Form:
    """What the form holds at first. Asks the disk. Raises ``PictureNotFound``."""
    form = Form({"n": [str(PICTURES_SHOWN)], "shape": ["square"]})
    if like is not None:
        form = like_picture(inside, like)
    if prompt:
        form = form.but(prompt=prompt)
    if model:
        form = form.but(model=model)
    if start is not None:
        entry = get(inside, start)
        if not entry.path.is_file():
            raise PictureNotFound(f"the file of picture {start} is gone", hint=f"limner replay {start} draws it anew")
        form = form.but(init=inside.service.session.take_in(entry.path), start_picture=entry.id)
    return form


def like_picture(inside: Shell, id: str) -> Form:
    """The settings of a picture of the library. Raises ``PictureNotFound``."""
    entry = get(inside, id)
    if entry.record is None:
        return Form({"prompt": [entry.prompt], "negative": [entry.negative], "n": ["1"], "shape": ["square"]})
    asked = entry.record.request
    seeded = asked.but(n=1, seed=entry.record.seed.seed, model=entry.model)
    return form_of_request(seeded, card_of(inside.service, entry.model))
