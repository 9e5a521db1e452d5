"""The image page: act on one picture, and see how it was made. The lightbox shows the same over the gallery."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from limner.serve.native.bodies import PictureId
from limner.serve.native.pictures import get
from limner.serve.shell import Shell, shell
from limner.serve.studio.gallery import Words
from limner.serve.studio.ids import PictureHere
from limner.serve.studio.image_marks import marks_of
from limner.serve.studio.image_view import view
from limner.serve.studio.templating import fragment, page

router = APIRouter()
In = Annotated[Shell, Depends(shell)]
Id = PictureHere
Other = Annotated[PictureId | None, Query(alias="with")]


@router.get("/i/{id}")
async def image(request: Request, inside: In, id: Id, q: Words = "", other: Other = None) -> Response:
    """The page; ``q`` is the search whose pictures are its neighbours, ``with`` the picture it is compared with."""
    found = await asyncio.to_thread(partial(view, inside, id, q, other))
    return page(request, "image/page.html", "gallery", {"view": found})


@router.get("/ui/i/{id}")
async def panel(inside: In, id: Id, q: Words = "", other: Other = None) -> Response:
    """The same for the lightbox."""
    found = await asyncio.to_thread(partial(view, inside, id, q, other))
    return fragment("image/_view.html", {"view": found, "boxed": True})


@router.get("/ui/i/{id}/marks")
async def marks(inside: In, id: Id) -> Response:
    """What its file says of where it comes from, and whether that can be believed."""
    entry = await asyncio.to_thread(partial(get, inside, id))
    found = await asyncio.to_thread(partial(marks_of, entry.path, inside.service.settings))
    # where the file lies is for who sits at this machine; others learn nothing of its folders
    return fragment("image/_marks.html", {"sections": found, "path": entry.path if inside.guard.private else None})
