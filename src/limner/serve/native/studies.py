"""``/api/v1/studies``: refinements and comparisons, their reports, blind votes on them, and drawing with who won."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from starlette.responses import Response

from limner.errors import InvalidRequest, LimnerError, PictureNotFound
from limner.refine.verdict_types import Verdict
from limner.serve.native.accepting import accept
from limner.serve.native.answers import JobView
from limner.serve.native.bodies import DrawJob
from limner.serve.service import Service
from limner.serve.shell import service
from limner.serve.studies.store import ID, Compared, Refined, Studies
from limner.serve.studies.telling import brief, view
from limner.serve.studies.views import Brief, StudyView
from limner.serve.studies.votes import Booth, Turn
from limner.types import Request
from limner.types.base import Frozen

router = APIRouter(tags=["studies"])
Own = Annotated[Service, Depends(service)]
Id = Annotated[str, Path(pattern=ID, description="a study")]
Rater = Annotated[str, Query(min_length=1, max_length=60, description="who votes")]
Name = Annotated[str, Path(pattern="^[0-9a-f]{12}$")]
PAGE = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""A report is a page of its own: its script may run, but it is nobody here, and can ask for nothing."""
REPORT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {}}, "description": "a page by itself"}}
WEBP: dict[int | str, dict[str, Any]] = {200: {"content": {"image/webp": {}}, "description": "a picture"}}


class StudyList(Frozen):
    """Studies, newest first. ``next``: the ``offset`` of the next page, ``null`` at the end."""

    studies: tuple[Brief, ...]
    next: int | None


class VoteBody(Frozen):
    """A choice: the ``item`` of a Turn, and the name of the better picture, ``null`` for "can't tell"."""

    item: Annotated[str, Field(max_length=20)]
    choice: Annotated[str | None, Field(max_length=40)] = None


class VotesView(Frozen):
    """What blind votes come to. ``kappa`` and ``alpha`` say how far raters agree, 1 fully, 0 as by chance."""

    raters: tuple[str, ...]
    votes: int
    kappa: float | None
    alpha: float | None
    left: float | None
    left_p: float | None
    verdict: Verdict


class DrawBody(Frozen):
    """How many pictures, and the first one's seed."""

    n: Annotated[int, Field(ge=1, le=100)] = 1
    seed: Annotated[int | None, Field(ge=0, lt=2**32)] = None


@router.get("/studies")
async def listed(
    own: Own,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> StudyList:
    """Refinements, comparisons and grids."""
    return await asyncio.to_thread(partial(page_of, own, limit, offset))


@router.get("/studies/{id}")
async def one(own: Own, id: Id) -> StudyView:
    """All that is known of a study: the sentence, the numbers, pairs of pictures, the search's tree."""
    return await asyncio.to_thread(partial(viewed, own, id))


@router.get("/studies/{id}/report", response_class=Response, responses=REPORT)
async def report(own: Own, id: Id) -> Response:
    """The report, one HTML page that needs nothing else."""
    study = await asyncio.to_thread(studies(own).get, id)
    place = study.report if isinstance(study, Refined | Compared) else None
    if place is None or not await asyncio.to_thread(place.is_file):
        raise PictureNotFound(f"study {id} has no report", hint="there is one when it is finished")
    data = await asyncio.to_thread(place.read_bytes)
    return Response(data, media_type="text/html", headers={"content-security-policy": PAGE})


@router.get("/studies/{id}/ballot")
async def ballot(own: Own, id: Id, rater: Rater = "you") -> Turn:
    """The next pair to vote on, blind."""
    return await asyncio.to_thread(lambda: booth(own, id, rater).turn())


@router.get("/studies/{id}/ballot/{name}", response_class=Response, responses=WEBP)
async def balloted(own: Own, id: Id, name: Name) -> Response:
    """A picture by its name on the ballot."""
    data = await asyncio.to_thread(lambda: booth(own, id).picture(name, own.session.library))
    return Response(data, media_type="image/webp", headers={"cache-control": "private, max-age=3600"})


@router.post("/studies/{id}/votes")
async def vote(own: Own, id: Id, body: VoteBody, rater: Rater = "you") -> Turn:
    """Choose; the answer is the next pair."""
    return await asyncio.to_thread(lambda: booth(own, id, rater).vote(body.item, body.choice))


@router.delete("/studies/{id}/votes/last")
async def undo(own: Own, id: Id, rater: Rater = "you") -> Turn:
    """Take the last choice back."""
    return await asyncio.to_thread(lambda: booth(own, id, rater).undo())


@router.get("/studies/{id}/votes")
async def votes(own: Own, id: Id, rater: Rater = "you") -> VotesView:
    """The verdict with the votes as one more judge; withheld until the rater has seen all pairs."""
    found = await asyncio.to_thread(lambda: booth(own, id, rater).count())
    return VotesView(**{name: getattr(found, name) for name in VotesView.model_fields})


@router.post("/studies/{id}/draw", status_code=202)
async def draw(own: Own, id: Id, body: DrawBody) -> JobView:
    """Draw with what won (of a refinement that was stopped: with what is ahead)."""
    won = (await asyncio.to_thread(partial(viewed, own, id))).winner
    if won is None:
        raise InvalidRequest(
            "nothing won in this study", field="id", hint="draw with one of its sides: POST /api/v1/jobs"
        )
    request = Request.model_validate({**won.request, "n": body.n, "seed": body.seed})
    return JobView.of(await accept(own, DrawJob(request=request)), own)


def studies(own: Service) -> Studies:
    """The studies of this server's library."""
    return Studies(own.settings.library_root)


def page_of(own: Service, limit: int, offset: int = 0) -> StudyList:
    """A page of the list; a study that cannot be read says so in its place. Asks the disk."""
    places = studies(own).places()
    found = []
    for path in places[offset : offset + limit]:
        try:
            found.append(brief(path))
        except LimnerError:
            continue  # its own page says what is wrong with it
    more = offset + limit
    return StudyList(studies=tuple(found), next=more if more < len(places) else None)


def viewed(own: Service, id: str) -> StudyView:
    """Asks the disk. Raises ``NoSuchStudy``, ``LibraryError``."""
    known = studies(own)
    return view(known.get(id), known.place(id))


def booth(own: Service, id: str, rater: str = "you") -> Booth:
    """Raises ``NoSuchStudy``, ``InvalidRequest``."""
    return Booth(id, studies(own).get(id), rater.strip() or "you")


__all__ = ["booth", "page_of", "router", "studies", "viewed"]
