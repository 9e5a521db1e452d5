"""The gallery: find, rate, reuse. Fast with tens of thousands of pictures: 120 at a time, months jumped to."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from limner.errors import InvalidRequest
from limner.library.browse import STRETCH, stretch_of
from limner.serve.jobs import Trouble
from limner.serve.shell import Shell, shell
from limner.serve.studio import gallery_words
from limner.serve.studio.gallery_shelf import shelf, tiles
from limner.serve.studio.templating import form_of, fragment, page, see, wants_fragment

router = APIRouter()
In = Annotated[Shell, Depends(shell)]
Words = Annotated[str, Query(max_length=1_000)]
Key = Annotated[str, Query(max_length=60, pattern=r"^([0-9TZ:.+ -]{4,40}_[0-9a-z]{14})?$")]
Ids = Annotated[str, Query(max_length=20_000, pattern=r"^([0-9a-z]{14},?)*$")]
MOST_CHOSEN = 1_000


@router.get("/gallery")
async def gallery(
    request: Request,
    inside: In,
    q: Words = "",
    first: Annotated[Key, Query(alias="from")] = "",
    last: Annotated[Key, Query(alias="to")] = "",
    offset: Annotated[int, Query(ge=0)] = 0,
    deleted: Ids = "",
) -> Response:
    """The page; ``from`` and ``to`` (or ``offset``) name the stretch whose pictures it begins with. ``deleted``: ids
    that can still be had back."""
    going = [id for id in deleted.split(",") if id in inside.doomed.ids]
    try:
        found = await asyncio.to_thread(partial(shelf, inside, q, first, offset))
    except InvalidRequest as error:
        said = {"shelf": None, "q": q, "problem": Trouble.of(error), "going": going}
        return page(request, "gallery/page.html", "gallery", said, status=422)
    return page(request, "gallery/page.html", "gallery", {"shelf": found, "q": q, "problem": None, "going": going})


@router.get("/ui/gallery")
async def stretch(
    inside: In,
    q: Words = "",
    first: Annotated[Key, Query(alias="from")] = "",
    last: Annotated[Key, Query(alias="to")] = "",
    offset: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=1, le=STRETCH)] = STRETCH,
) -> Response:
    """The tiles of one stretch."""
    wanted = stretch_of(first, last, offset, count)
    return fragment("gallery/_tiles.html", {"tiles": await asyncio.to_thread(tiles, inside, q, wanted), "q": q})


@router.get("/ui/gallery/new")
async def new(inside: In, q: Words = "", since: Key = "") -> Response:
    """How many pictures have come since the newest that is shown."""
    library = inside.service.session.library

    def count() -> int:
        _, query = gallery_words.read(q, library)
        created, _, id = since.rpartition("_")
        return library.browse.newer(query, (created, id))

    found = await asyncio.to_thread(count)
    return fragment("gallery/_new.html", {"count": found, "url": gallery_words.address(q)})


@router.post("/ui/gallery/rating")
async def rate(request: Request, inside: In) -> Response:
    """Rate several pictures at once, 1 to 5; 0 takes their ratings back. Says how many."""
    form = await form_of(request)
    stars = form.get("rating", [""])[0]
    if stars not in ("0", "1", "2", "3", "4", "5"):
        raise InvalidRequest("a rating is 1 to 5, or 0 for none", field="rating")
    ids = _ids(form)

    def rated() -> None:
        for id in ids:
            inside.service.session.library.rate(id, int(stars) or None)

    await asyncio.to_thread(rated)
    if not wants_fragment(request):
        return see("/gallery")
    return fragment("gallery/_rated.html", {"count": len(ids), "stars": int(stars)})


@router.post("/ui/gallery/delete")
async def delete(request: Request, inside: In) -> Response:
    """Delete pictures, ten seconds from now."""
    ids = _ids(await form_of(request))
    undo = await inside.doomed.delete(ids)
    if not wants_fragment(request):
        return see(f"/gallery?deleted={','.join(ids)}")
    return fragment("gallery/_undo.html", {"ids": ids, "undo": undo})


@router.post("/ui/gallery/restore")
async def restore(request: Request, inside: In) -> Response:
    """Take deletions back. Raises ``InvalidRequest`` where it is too late for some."""
    ids = _ids(await form_of(request))
    back = inside.doomed.restore(ids)
    if len(back) < len(ids):
        raise InvalidRequest(
            f"{len(ids) - len(back)} of {len(ids)} pictures were gone already", field="ids", hint="they had 10 seconds"
        )
    return Response(status_code=204) if wants_fragment(request) else see("/gallery")


@router.post("/ui/gallery/compare")
async def compare(request: Request) -> Response:
    """Two chosen pictures side by side, the first as A."""
    ids = _ids(await form_of(request))
    if len(ids) != 2:
        raise InvalidRequest(f"{len(ids)} pictures are chosen", field="ids", hint="choose two to compare them")
    return see(f"/i/{ids[1]}?with={ids[0]}")


def _ids(form: dict[str, list[str]]) -> list[str]:
    """The pictures that a form names. Raises ``InvalidRequest``."""
    found = list(dict.fromkeys(id for text in form.get("ids", []) for id in text.split(",") if id))
    if not found or len(found) > MOST_CHOSEN or any(not (len(id) == 14 and id.isalnum()) for id in found):
        raise InvalidRequest(f"choose 1 to {MOST_CHOSEN:,} pictures", field="ids", hint="Space chooses a picture")
    return found
