"""``/api/v1/inputs``: pictures for requests to start from, sent once and named by their content."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import JsonValue
from starlette.datastructures import UploadFile
from starlette.requests import Request

from limner.errors import InvalidRequest
from limner.serve.native.bodies import InputId
from limner.serve.native.lookup import as_json
from limner.serve.shell import Shell, shell
from limner.serve.uploads import MOST_BYTES, Upload, take_in, upload
from limner.types.base import Frozen

router = APIRouter(tags=["inputs"])
_BINARY = {"schema": {"type": "string", "format": "binary"}}
SENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/png": _BINARY,
            "image/jpeg": _BINARY,
            "image/webp": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


class InputView(Frozen):
    """A picture that was taken in: ``id`` goes into a Request's ``init`` or ``mask``.

    ``source`` and ``fields`` are what its file said of how it was made; ``picture`` is the picture of the library that
    it is a copy of, where that is known."""

    id: InputId
    width: int
    height: int
    source: str
    fields: dict[str, JsonValue]
    picture: str | None


@router.post("/inputs", status_code=201, openapi_extra=SENT)
async def put(request: Request, inside: Annotated[Shell, Depends(shell)]) -> InputView:
    """Send a PNG, JPEG or WebP file, as the body itself or as a form's ``file``. It is decoded and written anew."""
    sent = await upload(await _sent(request))
    session = inside.service.session
    name = await take_in(session, sent.image)
    return InputView(
        id=name,
        width=sent.image.width,
        height=sent.image.height,
        source=sent.found.source,
        fields=as_json(sent.found.fields),
        picture=await asyncio.to_thread(_known, inside, sent),
    )


def _known(inside: Shell, sent: Upload) -> str | None:
    record = sent.found.record
    if record is None:
        return None
    entry = inside.service.session.library.find_by_key(record.image_key)
    return None if entry is None or entry.id in inside.doomed.ids else entry.id


async def _sent(request: Request) -> bytes:
    """The one picture of a body. Raises ``InvalidRequest``."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("image/"):
        return await request.body()
    if kind != "multipart/form-data":
        raise InvalidRequest("send a picture", field="file", hint="as the body, with its type image/png, or as a form")
    async with request.form(max_files=1, max_fields=4, max_part_size=64 * 1024) as form:
        found = form.get("file")
        if not isinstance(found, UploadFile):
            raise InvalidRequest("the form has no file", field="file", hint="its field is called file")
        return await found.read(MOST_BYTES + 1)
