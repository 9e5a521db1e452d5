"""``/api/v1/pictures``: find, look at, rate and delete what was drawn."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BeforeValidator, Field, JsonValue
from starlette.responses import FileResponse, Response

from limner.errors import InvalidRequest, PictureNotFound
from limner.library import entries
from limner.library.entries import Entry
from limner.serve.native.bodies import PictureId, RateBody
from limner.serve.native.lookup import as_json
from limner.serve.shell import Shell, shell
from limner.serve.thumbnails import Size
from limner.types import Record, Score
from limner.types.base import Frozen

router = APIRouter(tags=["pictures"])
In = Annotated[Shell, Depends(shell)]
Id = Annotated[PictureId, Path()]
FOREVER = "private, max-age=31536000, immutable"
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {f"image/{kind}": {} for kind in ("png", "jpeg", "webp")}, "description": "a picture file"},
    206: {"content": {f"image/{kind}": {} for kind in ("png", "jpeg", "webp")}, "description": "a part of it"},
    304: {"description": "it has not changed"},
    416: {"description": "no such part"},
}
CHAIN = 200  # ancestors that are followed
HARMLESS = "default-src 'none'; sandbox"


def _number(text: object) -> object:
    """A query's digits as a number: one of a few numbers is not looked for among texts."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else text


class PictureView(Frozen):
    """A picture of the library. ``created`` is ISO 8601 in UTC, sizes are pixels, ``lost``: its file is gone."""

    id: str
    created: str
    prompt: str
    negative: str
    model: str
    seed: int | None
    width: int
    height: int
    format: str
    rating: int | None
    source: str
    parent: str | None
    lost: bool
    file: str
    thumbnail: str

    @classmethod
    def of(cls, entry: Entry) -> Self:
        own = ("file", "thumbnail")
        said = {name: getattr(entry, name) for name in cls.model_fields if name not in own}
        base = f"/api/v1/pictures/{entry.id}"
        return cls(**said, file=f"{base}/file", thumbnail=f"{base}/thumbnail")


class PicturePage(Frozen):
    """A page of pictures. ``next`` is the next page's ``cursor``, ``null`` at the end; ``count`` is of all pages."""

    pictures: tuple[PictureView, ...]
    next: str | None
    count: int


class PictureDetail(PictureView):
    """All that is known of a picture. ``ancestors``: its parent, that one's parent, and so on; ``children``: what was
    made of it. ``fields``: what another program's file said."""

    record: Record | None
    fields: dict[str, JsonValue]
    scores: tuple[Score, ...]
    ancestors: tuple[str, ...]
    children: tuple[str, ...]


class Deleted(Frozen):
    """Pictures that are going: until ``undo`` seconds have passed they can be restored."""

    pictures: tuple[str, ...]
    undo: float


class Wanted(Frozen):
    """Which pictures, in what order. ``cursor`` is the ``next`` of the page before."""

    text: Annotated[str, Field(max_length=1_000)] = ""
    model: Annotated[str | None, Field(max_length=500)] = None
    rating: Annotated[int | None, Field(ge=1, le=5)] = None
    since: Annotated[str | None, Field(pattern=r"^\d{4}-\d\d(-\d\d(T[\d:]{1,8}Z?)?)?$", max_length=40)] = None
    until: Annotated[str | None, Field(pattern=r"^\d{4}-\d\d(-\d\d(T[\d:]{1,8}Z?)?)?$", max_length=40)] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    source: Annotated[str | None, Field(max_length=40)] = None
    parent: PictureId | None = None
    lost: bool | None = None
    sort: entries.Sort = "created"
    order: Literal["desc", "asc"] = "desc"
    scorer: Annotated[str | None, Field(max_length=200)] = None
    at_least: Annotated[float | None, Field(ge=-1e9, le=1e9, description="a score by `scorer`")] = None
    at_most: Annotated[float | None, Field(ge=-1e9, le=1e9, description="a score by `scorer`")] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Field(pattern=r"^(\d{1,9}|[0-9TZ:.-]{10,30}_[0-9a-z]{14})$", max_length=60)] = None

    def query(self) -> entries.Query:
        """As the library takes it. Raises ``InvalidRequest``."""
        for name in ("at_least", "at_most"):
            if getattr(self, name) is not None and self.scorer is None:
                raise InvalidRequest(f"{name}: of which scorer?", field="scorer", hint="give scorer too")
        created, _, last = (self.cursor or "").partition("_")
        if last and self.sort != "created":
            raise InvalidRequest("cursor: it is of another order", field="cursor", hint="begin without a cursor")
        scorer = self.scorer or ""
        return entries.Query(
            text=self.text,
            model=self.model,
            rating=self.rating,
            since=self.since,
            until=self.until,
            seed=self.seed,
            source=self.source,
            parent=self.parent,
            lost=self.lost,
            sort=self.sort,
            descending=self.order == "desc",
            scorer=self.scorer,
            at_least=() if self.at_least is None else ((scorer, self.at_least),),
            at_most=() if self.at_most is None else ((scorer, self.at_most),),
            limit=self.limit,
            offset=int(created) if created and not last else 0,
            after=(created, last) if last else None,
        )

    def next(self, page: list[Entry]) -> str | None:
        """The cursor of the page after this one. By age it is a place, else a number."""
        if len(page) < self.limit:
            return None
        if self.sort == "created":
            return f"{page[-1].created}_{page[-1].id}"
        return str(int(self.cursor or 0) + self.limit)


@router.get("/pictures")
async def found(inside: In, wanted: Annotated[Wanted, Query()]) -> PicturePage:
    """Pictures of the library, newest first."""
    library, query = inside.service.session.library, wanted.query()

    def look() -> tuple[list[Entry], int]:
        return library.list(query), library.count(query)

    page, count = await asyncio.to_thread(look)
    hidden = inside.doomed.ids
    shown = tuple(PictureView.of(each) for each in page if each.id not in hidden)
    return PicturePage(pictures=shown, next=wanted.next(page), count=count)


@router.get("/pictures/{id}")
async def one(inside: In, id: Id) -> PictureDetail:
    """One picture, and all that is known of it."""
    return await asyncio.to_thread(partial(detail, inside, id))


def detail(inside: Shell, id: str) -> PictureDetail:
    """All that is known of a picture. Asks the disk. Raises ``PictureNotFound``."""
    library = inside.service.session.library
    entry = get(inside, id)
    children = library.list(entries.Query(parent=id, descending=False, limit=500))
    ancestors: list[str] = []
    parent = entry.parent
    while parent is not None and parent not in (*ancestors, id) and len(ancestors) < CHAIN:
        ancestors.append(parent)
        try:
            parent = library.get(parent).parent
        except PictureNotFound:
            break
    return PictureDetail(
        **PictureView.of(entry).model_dump(),
        record=entry.record,
        fields=as_json(entry.fields),
        scores=tuple(library.scores(id)),
        ancestors=tuple(ancestors),
        children=tuple(each.id for each in children),
    )


@router.get("/pictures/{id}/file", response_class=FileResponse, responses=PICTURE)
async def file(inside: In, id: Id, download: bool = False) -> Response:
    """The file as it is kept, with all its marks; ``download`` asks the browser to save it."""
    entry = await asyncio.to_thread(partial(get, inside, id))
    if not await asyncio.to_thread(entry.path.is_file):
        raise PictureNotFound(f"the file of picture {id} is gone", hint=f"limner replay {id} draws it anew")
    return FileResponse(
        entry.path,
        media_type=f"image/{entry.format}",
        filename=f"{entry.id}.{'jpg' if entry.format == 'jpeg' else entry.format}",
        content_disposition_type="attachment" if download else "inline",
        headers={"cache-control": _kept(entry), "content-security-policy": HARMLESS},
    )


@router.get("/pictures/{id}/thumbnail", response_class=Response, responses={200: PICTURE[200]})
async def thumbnail(inside: In, id: Id, size: Annotated[Size, BeforeValidator(_number)] = 256) -> Response:
    """The picture at most ``size`` pixels wide and high, as WebP."""
    entry = await asyncio.to_thread(partial(get, inside, id))
    data = await inside.thumbnails.of(entry, size)
    headers = {"cache-control": _kept(entry), "content-security-policy": HARMLESS}
    return Response(data, media_type="image/webp", headers=headers)


@router.post("/pictures/{id}/rating")
async def rate(inside: In, id: Id, body: RateBody) -> PictureView:
    """Rate a picture 1 to 5, or take its rating back."""
    await asyncio.to_thread(partial(get, inside, id))
    return PictureView.of(await asyncio.to_thread(inside.service.session.library.rate, id, body.rating))


@router.get("/pictures/{id}/scores")
async def scores(inside: In, id: Id) -> tuple[Score, ...]:
    """All scores of a picture."""
    await asyncio.to_thread(partial(get, inside, id))
    return tuple(await asyncio.to_thread(inside.service.session.library.scores, id))


@router.delete("/pictures/{id}", status_code=202)
async def delete(inside: In, id: Id) -> Deleted:
    """Delete a picture and its file, some seconds from now: until then it can be restored."""
    await asyncio.to_thread(partial(get, inside, id))
    return Deleted(pictures=(id,), undo=await inside.doomed.delete([id]))


@router.post("/pictures/{id}/restore")
async def restore(inside: In, id: Id) -> PictureView:
    """Take a deletion back, while there is time."""
    inside.doomed.restore([id])
    return PictureView.of(await asyncio.to_thread(partial(get, inside, id)))


def get(inside: Shell, id: str) -> Entry:
    """A picture that is not being deleted. Asks the disk. Raises ``PictureNotFound``."""
    if id in inside.doomed.ids:
        raise PictureNotFound(f"picture {id} was deleted", hint="it can be restored for some seconds")
    return inside.service.session.library.get(id)


def _kept(entry: Entry) -> str:
    """What Limner drew never changes; files elsewhere may."""
    return FOREVER if entry.source == "limner" else "private, no-cache"
