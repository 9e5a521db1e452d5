"""Blind votes in the browser: a pair at a time, names and numbers withheld until all are given."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from limner.errors import InvalidRequest
from limner.refine.voting_count import VOTES, Counted
from limner.serve.native.accepting import accept
from limner.serve.native.bodies import DrawJob
from limner.serve.native.studies import booth, viewed
from limner.serve.service import Service
from limner.serve.shell import service
from limner.serve.studies.votes import Turn
from limner.serve.studio.compare import listing
from limner.serve.studio.compare_shown import SIGNS, TONES, WORDS
from limner.serve.studio.ids import StudyHere
from limner.serve.studio.templating import form_of, fragment, page, see, wants_fragment
from limner.types import Request as Asked

router = APIRouter()
Own = Annotated[Service, Depends(service)]
Study = StudyHere
DRAWN = 4


@router.get("/compare/{id}/vote")
async def vote_page(request: Request, own: Own, id: Study) -> Response:
    """The next pair."""
    said = await asyncio.to_thread(partial(_turn, own, id))
    return page(request, "compare/vote.html", "compare", {**await listing(own), **said, "open": id})


@router.post("/ui/compare/{id}/votes")
async def vote(request: Request, own: Own, id: Study) -> Response:
    """Keep a choice, or take the last one back; the next pair."""
    form = await form_of(request)
    item, choice = (form.get(name, [""])[0][:60] for name in ("item", "choice"))

    def keep() -> Turn:
        if choice == "undo":
            return booth(own, id).undo()
        return booth(own, id).vote(item, choice or None)

    await asyncio.to_thread(keep)
    if not wants_fragment(request):
        return see(f"/compare/{id}/vote")
    return fragment("compare/_pair.html", await asyncio.to_thread(partial(_turn, own, id)))


@router.post("/ui/compare/{id}/draw")
async def draw(request: Request, own: Own, id: Study) -> Response:
    """Some pictures with who won, in the feed of the Create page."""
    won = (await asyncio.to_thread(partial(viewed, own, id))).winner
    if won is None:
        raise InvalidRequest("nothing won in this study", field="id", hint="draw with one of its sides")
    wanted = DrawJob(request=Asked.model_validate({**won.request, "n": DRAWN}))
    await accept(own, wanted, client="studio")
    return Response(status_code=204, headers={"hx-redirect": "/"}) if wants_fragment(request) else see("/")


def _turn(own: Service, id: str) -> dict[str, object]:
    """The next pair, or what all votes come to. Asks the disk."""
    where = booth(own, id)
    turn = where.turn()
    counted: Counted | None = where.count() if turn.done else None
    said: dict[str, object] = {
        "turn": turn,
        "counted": counted,
        "id": id,
        "test": None,
        "sign": "",
        "word": "",
        "tone": "",
    }
    if counted is not None:
        verdict = counted.verdict
        said |= {
            "test": next(test for test in verdict.tests if test.scorer.name == VOTES),
            "sign": SIGNS[verdict.outcome],
            "word": WORDS[verdict.outcome],
            "tone": TONES.get(verdict.outcome, ""),
        }
    return said
