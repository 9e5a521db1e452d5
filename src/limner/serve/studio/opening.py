"""A picture that is dropped, pasted or chosen: it opens itself if it is known, else its settings come back, else it is
what to draw over."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from limner.errors import InvalidRequest, LimnerError
from limner.serve.shell import Shell, shell
from limner.serve.studio.chooser import card_of, chooser
from limner.serve.studio.forms import Form, form_of_request, nonce
from limner.serve.studio.hints import found as hints_of
from limner.serve.studio.rail import rail
from limner.serve.studio.templating import fragment
from limner.serve.uploads import MOST_BYTES, Upload, take_in, upload
from limner.session.foreign import restore

router = APIRouter()
In = Annotated[Shell, Depends(shell)]
PART = "x-limner-part"
"""Says which part of the page an answer is: ``form`` or ``start``."""


@router.post("/ui/open")
async def opened(request: Request, inside: In) -> Response:
    """Open a picture: its page (``HX-Redirect``), the form with its settings, or the form's start picture."""
    sent = await _sent(request)
    known = await asyncio.to_thread(partial(_known, inside, sent))
    if known is not None:
        return Response(status_code=204, headers={"hx-redirect": f"/i/{known}"})
    restored = await asyncio.to_thread(partial(_restored, inside, sent))
    if restored is None:
        return await _start(inside, sent)
    form, told = restored
    context = await asyncio.to_thread(partial(rail, inside.service, form))
    hints = await asyncio.to_thread(partial(hints_of, inside.service, form.one("prompt"), form.one("model")))
    said = {"key": nonce(), "given": True, "told": told}
    return fragment("create/_form.html", {**context, **hints, **said}, headers={PART: "form"})


@router.post("/ui/start")
async def started(request: Request, inside: In) -> Response:
    """Take a picture as the one to draw over."""
    return await _start(inside, await _sent(request))


async def _start(inside: Shell, sent: Upload) -> Response:
    name = await take_in(inside.service.session, sent.image)
    said = {"form": Form({"init": [name]}), "can": frozenset({"resize"}), "start_size": sent.image.size}
    return fragment("create/_start.html", said, headers={PART: "start"})


async def _sent(request: Request) -> Upload:
    async with request.form(max_files=1, max_fields=4, max_part_size=64 * 1024) as form:
        found = form.get("file")
        if not isinstance(found, UploadFile):
            raise InvalidRequest("no picture came", field="file", hint="drop, paste or choose a PNG, JPEG or WebP file")
        return await upload(await found.read(MOST_BYTES + 1))


def _known(inside: Shell, sent: Upload) -> str | None:
    record, brief = sent.found.record, sent.found.brief
    key = record.image_key if record is not None else brief.image_key if brief is not None else None
    entry = None if key is None else inside.service.session.library.find_by_key(key)
    return None if entry is None or entry.id in inside.doomed.ids else entry.id


def _restored(inside: Shell, sent: Upload) -> tuple[Form, tuple[str, ...]] | None:
    """The form that would draw it, and what of its settings could not be taken; ``None`` where it says nothing."""
    own = inside.service
    record = sent.found.record
    if record is not None:
        asked = record.request.but(prompt=record.prompt, styles=(), n=1, seed=record.seed.seed, model=record.model.name)
        return form_of_request(asked, card_of(own, record.model.name)), ()
    try:
        found = restore(sent.found, own.settings, own.session.catalog)
    except LimnerError:
        return _words(inside, sent)
    lost = tuple(f"{each.name}: {each.why or each.fate}" for each in found.told if each.fate != "honoured")
    return form_of_request(found.request, card_of(own, found.request.model or "")), lost


def _words(inside: Shell, sent: Upload) -> tuple[Form, tuple[str, ...]] | None:
    """Where its model is not here: its words and plain numbers, for the model that is."""
    fields = sent.found.fields
    prompt = fields.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        return None
    said = {name: [str(fields[name])] for name in ("negative", "seed", "steps", "guidance") if name in fields}
    default = chooser(inside.service).default
    form = Form({"prompt": [prompt], "n": ["1"], "shape": ["square"], "model": [default], **said})
    return form, (f"its model, {fields.get('model', 'not said')}, is not here: {default} is chosen instead",)
