"""Stars: of pictures on any page."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from limner.errors import InvalidRequest
from limner.serve.native.pictures import get
from limner.serve.shell import Shell, shell
from limner.serve.studio.ids import PictureHere
from limner.serve.studio.templating import form_of, fragment, see, wants_fragment

router = APIRouter()
In = Annotated[Shell, Depends(shell)]
Id = PictureHere


@router.post("/ui/i/{id}/rating")
async def rate(request: Request, inside: In, id: Id) -> Response:
    """Rate a picture 1 to 5; 0 takes the rating back. ``where`` comes back as it was sent."""
    form = await form_of(request)
    stars = form.get("rating", ["0"])[0]
    if stars not in ("0", "1", "2", "3", "4", "5"):
        raise InvalidRequest("a rating is 1 to 5, or 0 for none", field="rating")
    await asyncio.to_thread(partial(get, inside, id))
    entry = await asyncio.to_thread(inside.service.session.library.rate, id, int(stars) or None)
    where = form.get("where", [""])[0]
    if not wants_fragment(request):
        return see(f"/i/{id}")
    said = {"id": id, "value": entry.rating, "where": where if where.isalnum() else ""}
    return fragment("_rating.html", said)
