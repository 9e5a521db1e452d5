"""More of a picture, from its own page: near it, anew, again, larger, scored. The answer follows the job to its end."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from limner.errors import InvalidRequest, LimnerError
from limner.library.entries import Entry
from limner.library.files import decode
from limner.serve.jobs import Ask, Job
from limner.serve.native.accepting import accept
from limner.serve.native.bodies import ScoreJob, UpscaleJob
from limner.serve.native.lookup import NoSuchJob
from limner.serve.native.pictures import PictureView, get
from limner.serve.shell import Shell, shell
from limner.serve.studio.ids import JobHere, PictureHere
from limner.serve.studio.templating import fragment, see, wants_fragment
from limner.session.replay import NEAR, differences, request_of
from limner.types import Record

router = APIRouter()
In = Annotated[Shell, Depends(shell)]
Id = PictureHere
Act = Literal["vary", "vary-strong", "again", "replay", "upscale", "score"]
TITLES: dict[Act, str] = {
    "vary": "Variations",
    "vary-strong": "Strong variations",
    "again": "New seeds",
    "replay": "Drawn again",
    "upscale": "Enlarged",
    "score": "Scores",
}
AMOUNTS: dict[Act, float] = {"vary": 0.2, "vary-strong": 0.5}
"""Shares of new noise, mixed in spherically."""
EACH = 4  # pictures that one press asks for
SEEDS = 2**32 - 1_000


@dataclass(frozen=True, slots=True)
class Work:
    """A job of a picture as its page shows it. ``verdict`` is of a replay that is done: a word, and why."""

    id: str
    act: Act
    title: str
    job: Job
    wait: float | None
    pictures: tuple[PictureView | None, ...]
    verdict: tuple[str, tuple[str, ...]] | None


@router.post("/ui/i/{id}/do/{act}")
async def do(request: Request, inside: In, id: Id, act: Act) -> Response:
    """Ask for it. Raises ``InvalidRequest`` for another program's picture, and what accepting a job does."""
    entry = await asyncio.to_thread(partial(get, inside, id))
    own = inside.service
    if act == "upscale":
        job = await accept(own, UpscaleJob(kind="upscale", picture=id), client="studio")
    elif act == "score":
        job = await accept(own, ScoreJob(kind="score", pictures=(id,)), client="studio")
    else:
        own.admit(1 if act == "replay" else EACH)
        job = await own.submit(await asyncio.to_thread(partial(asked, inside, entry, act)))
    if not wants_fragment(request):
        return see(f"/i/{id}")
    return await _shown(inside, entry, act, job, "image/_work.html")


@router.get("/ui/i/{id}/job/{job}")
async def state(inside: In, id: Id, job: JobHere, act: Annotated[Act, Query()]) -> Response:
    """How it stands."""
    entry = await asyncio.to_thread(partial(get, inside, id))
    found = await inside.service.job(job)
    if found is None:
        raise NoSuchJob(job)
    return await _shown(inside, entry, act, found, "image/_work_state.html")


def asked(inside: Shell, entry: Entry, act: Act) -> Ask:
    """What is asked of the queue: a picture's Record again, or with changes. Asks the disk."""
    record = entry.record
    if record is None:
        raise InvalidRequest(
            "this picture was made elsewhere: how it was drawn is not known",
            field="picture",
            hint="use it as a start picture instead",
        )
    session = inside.service.session
    if act == "replay":
        wanted = request_of(record)
        plans = session.plan_again(record)
    else:
        wanted = request_of(record).but(n=EACH, device=None, dtype=None, **_changes(act))
        parent = None if act == "again" else entry.id
        plans = session.plan(wanted, literal=True, parent=parent, pinned=record.adapters)
    return Ask(
        kind="draw",
        body=wanted.model_dump(mode="json", exclude_defaults=True),
        plans=tuple(plan.model_dump(mode="json") for plan in plans),
        n=sum(len(plan.seeds) for plan in plans),
        title=plans[0].prompt,
        client="studio",
        notices=tuple(each for plan in plans for each in (*plan.notices, *plan.checks)),
    )


def _changes(act: Act) -> dict[str, object]:
    if act in AMOUNTS:
        return {"variation": AMOUNTS[act], "variation_seed": secrets.randbelow(SEEDS)}
    return {"seed": secrets.randbelow(SEEDS), "variation": 0.0, "variation_seed": None}


def verdict(before: Entry, after: Entry) -> tuple[str, tuple[str, ...]]:
    """How near a picture drawn again came, and why not nearer. Reads both files where their pixels differ."""
    assert before.record is not None
    assert after.record is not None
    if before.record.pixel_hash == after.record.pixel_hash:
        return "Identical: the same pixels", ()
    reasons = differences(before.record, after.record)
    gap = _gap(before, after)
    if gap is None:
        return "Different: the sizes differ", reasons
    near = "Near" if gap <= NEAR else "Different"
    return f"{near}: {gap:.3g}/255 apart on average, with the marks in both files", reasons


def _gap(before: Entry, after: Entry) -> float | None:
    import numpy as np

    one, two = decode(before.path), decode(after.path)
    if one.shape != two.shape:
        return None
    return float(np.abs(one.astype(np.int16) - two.astype(np.int16)).mean())


async def _shown(inside: Shell, entry: Entry, act: Act, job: Job, template: str) -> Response:
    found = await asyncio.to_thread(partial(_work, inside, entry, act, job))
    return fragment(template, {"work": found})


def _work(inside: Shell, entry: Entry, act: Act, job: Job) -> Work:
    pictures = [None if name is None else _entry(inside, name) for name in job.pictures]
    made = pictures[0] if pictures else None
    both: tuple[Record | None, Record | None] = (entry.record, None if made is None else made.record)
    judged = act == "replay" and job.state == "done" and None not in both and made is not None
    return Work(
        entry.id,
        act,
        TITLES[act],
        job,
        inside.service.seconds_until(job),
        tuple(None if each is None else PictureView.of(each) for each in pictures),
        verdict(entry, made) if judged and made is not None else None,
    )


def _entry(inside: Shell, name: str) -> Entry | None:
    """``None`` for one that was deleted since."""
    try:
        return get(inside, name)
    except LimnerError:
        return None
