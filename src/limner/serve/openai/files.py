"""Pictures by link, in the format and size that they were asked for in."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from limner.serve.native.bodies import PictureId
from limner.serve.native.pictures import FOREVER, HARMLESS, PICTURE, get
from limner.serve.openai.asked import Format
from limner.serve.openai.encoding import Wish, aside, written
from limner.serve.openai.sizes import read_size
from limner.serve.shell import Shell, shell

router = APIRouter()


@router.get("/images/files/{id}", response_class=Response, responses={200: PICTURE[200]})
async def file(
    inside: Annotated[Shell, Depends(shell)],
    id: Annotated[PictureId, Path()],
    output_format: Format = "png",
    output_compression: Annotated[int | None, Query(ge=0, le=100)] = None,
    size: Annotated[str, Query(max_length=20)] = "auto",
) -> Response:
    """A picture that was drawn, as a link of ``response_format`` ``url`` has it."""
    wish = Wish(output_format, output_compression, read_size(size))
    entry = await asyncio.to_thread(partial(get, inside, id))
    data = await aside(written, inside.service, entry, wish)
    headers = {"cache-control": FOREVER, "content-security-policy": HARMLESS}
    return Response(data, media_type=f"image/{output_format}", headers=headers)
