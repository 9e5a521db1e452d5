"""The Compare page: studies, new ones, what a running one has found so far, verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from limner.errors import LimnerError, PictureNotFound
from limner.refine.strategy import DEFAULT
from limner.serve.jobs import Job
from limner.serve.native.accepting import accept
from limner.serve.native.bodies import CompareJob, PictureId, RefineJob
from limner.serve.native.lookup import NoSuchJob
from limner.serve.native.pictures import get
from limner.serve.native.studies import page_of, studies, viewed
from limner.serve.service import Service
from limner.serve.shell import Shell, service, shell
from limner.serve.studies.store import ID, Refined
from limner.serve.studies.ties import Ties
from limner.serve.studies.views import Brief, StudyView
from limner.serve.studio.chooser import chooser
from limner.serve.studio.compare_forms import AXES, cost_of, wanted_of
from limner.serve.studio.compare_shown import Shown, shown
from limner.serve.studio.forms import Form
from limner.serve.studio.ids import JobHere, StudyHere
from limner.serve.studio.templating import form_of, fragment, page, see, wants_fragment

router = APIRouter()
Own = Annotated[Service, Depends(service)]
In = Annotated[Shell, Depends(shell)]
Study = StudyHere
JobName = JobHere
New = Literal["refine", "ab", "grid"]
LISTED = 60
LOOKED_AT = 200
REMEMBERED = 1_000
KINDS = ("refine", "compare")
STRATEGIES = (
    ("paraphrase", "other words for the same (always tried)"),
    ("weakest-atom", "strengthens what the pictures lack most"),
    ("expand", "adds detail and style"),
    ("guidance", "guidance and negative prompt"),
)


@router.get("/compare")
async def compare(
    request: Request,
    inside: In,
    new: New | None = None,
    picture: PictureId | None = None,
    prompt: Annotated[str, Query(max_length=20_000)] = "",
    model: Annotated[str, Query(max_length=200)] = "",
    again: Annotated[str | None, Query(pattern=ID)] = None,
    n: Annotated[int | None, Query(ge=1, le=1_000)] = None,
) -> Response:
    """The list, and a new study's form where one is asked for or none is there."""
    own = inside.service
    rail = await listing(own)
    form = await asyncio.to_thread(partial(_form, inside, new or "refine", picture, prompt, model))
    if again is not None:
        form = await asyncio.to_thread(partial(_again, own, again, n))
    asked = new is not None or again is not None
    return page(request, "compare/new.html", "compare", {**rail, **await _new(own, form), "asked": asked, "open": ""})


@router.get("/ui/compare/cost")
async def cost(request: Request, own: Own) -> Response:
    """What the form's study takes."""
    form = Form({name: request.query_params.getlist(name) for name in request.query_params})
    return fragment("compare/_cost.html", {"cost": await asyncio.to_thread(partial(cost_of, own, form))})


@router.post("/ui/compare")
async def start(request: Request, own: Own) -> Response:
    """Begin a study."""
    form = Form(await form_of(request))
    wanted = await asyncio.to_thread(partial(wanted_of, form))
    job = await accept(own, wanted, client="studio")
    return _go(request, f"/compare/job/{job.id}")


@router.post("/ui/compare/{id}/continue")
async def go_on(request: Request, own: Own, id: Study) -> Response:
    """Go on with a study that was stopped. A comparison is asked for again as it was: what is drawn is found."""
    found = await asyncio.to_thread(studies(own).get, id)
    if isinstance(found, Refined):
        wanted: RefineJob | CompareJob = RefineJob(kind="refine", request=found.found.design.request, resume=id)
    else:
        wanted = CompareJob.model_validate(await _asked_before(own, id))
    job = await accept(own, wanted, client="studio")
    return _go(request, f"/compare/job/{job.id}")


async def _asked_before(own: Service, id: str) -> Mapping[str, object]:
    """What the job asked for that began a comparison. Raises ``PictureNotFound``."""
    ties = Ties(own.settings.data)
    over = await own.jobs("cancelled", "failed", "done", limit=REMEMBERED)
    for job in over:
        if job.kind == "compare" and await asyncio.to_thread(ties.of, job.id) == id:
            return job.body
    raise PictureNotFound(
        f"what was asked in study {id} is not remembered", hint="begin it anew: what is drawn is found again"
    )


@router.get("/compare/job/{id}")
async def running(request: Request, own: Own, id: JobName) -> Response:
    """A study under way."""
    said = await _live(own, await _job(own, id))
    return page(request, "compare/running.html", "compare", {**await listing(own), **said, "open": id})


@router.get("/ui/compare/job/{id}")
async def live(own: Own, id: JobName) -> Response:
    """The same as it stands."""
    return fragment("compare/_live.html", await _live(own, await _job(own, id)))


@router.get("/compare/{id}")
async def one(request: Request, own: Own, id: Study) -> Response:
    """A study; where a job is at work on it, as that stands."""
    rail = await listing(own)
    at_work = next((job for job, study in rail["jobs"] if study == id), None)  # type: ignore[attr-defined]
    if at_work is not None:
        said = await _live(own, at_work)
        return page(request, "compare/running.html", "compare", {**rail, **said, "open": at_work.id})
    found = await asyncio.to_thread(partial(viewed, own, id))
    said = {"study": found, "shown": shown(found)}
    return page(request, "compare/study.html", "compare", {**rail, **said, "open": id})


@router.get("/ui/compare/list")
async def relist(own: Own, open: Annotated[str, Query(max_length=40)] = "") -> Response:
    """The list alone."""
    return fragment("compare/_list.html", {**await listing(own), "open": open})


async def listing(own: Service) -> dict[str, object]:
    """Studies, and the jobs that are at work on one, or wait."""
    jobs = [job for job in await own.jobs("running", "queued", limit=LOOKED_AT) if job.kind in KINDS]
    ties = Ties(own.settings.data)

    def look() -> tuple[tuple[Brief, ...], list[tuple[Job, str | None]]]:
        return page_of(own, LISTED).studies, [(job, ties.of(job.id)) for job in jobs]

    found, tied = await asyncio.to_thread(look)
    under_way = {study for _, study in tied}
    return {"studies": [each for each in found if each.id not in under_way], "jobs": tied}


async def _live(own: Service, job: Job) -> dict[str, object]:
    """A job with its newest word, and its study as far as there is one."""
    note = own.hub.last(job.id, "note")

    def look() -> StudyView | None:
        known = job.result.get("study") if job.result else Ties(own.settings.data).of(job.id)
        try:
            return None if not isinstance(known, str) else viewed(own, known)
        except LimnerError:  # it was deleted, or is just being written
            return None

    study = await asyncio.to_thread(look)
    view: Shown | None = None if study is None else shown(study)
    return {
        "job": job,
        "note": {} if note is None else dict(note.data),
        "wait": own.seconds_until(job),
        "study": study,
        "shown": view,
        "latest": job.made[-8:],
    }


async def _job(own: Service, id: str) -> Job:
    job = await own.job(id)
    if job is None or job.kind not in KINDS:
        raise NoSuchJob(id)
    return job


async def _new(own: Service, form: Form) -> dict[str, object]:
    """What a new study's form shows."""
    choices = await asyncio.to_thread(partial(chooser, own))
    cost = await asyncio.to_thread(partial(cost_of, own, form))
    return {
        "form": form,
        "models": [each for each in choices.choices if choices.here(each.name)],
        "default": choices.default,
        "cost": cost,
        "axes": AXES,
        "strategies": STRATEGIES,
        "usual": DEFAULT,
    }


def _form(inside: Shell, new: str, picture: str | None, prompt: str, model: str) -> Form:
    """The form as it is first shown. Asks the disk. Raises ``PictureNotFound``."""
    if picture is not None:
        entry = get(inside, picture)
        asked = None if entry.record is None else entry.record.request
        prompt = prompt or (entry.prompt if asked is None else asked.prompt)
        known = inside.service.session.catalog.find(entry.model) is not None
        model = model or (entry.model if known or asked is None else asked.model or "")
    return Form({"new": [new], "prompt": [prompt], "a_prompt": [prompt], "model": [model], "a_model": [model]})


def _again(own: Service, id: str, n: int | None) -> Form:
    """A study of two sides once more, on seeds that the first one did not see. Raises ``NoSuchStudy``."""
    found = viewed(own, id)
    values: dict[str, list[str]] = {"new": ["ab"], "n": [str(n or 24)]}
    for letter, side in zip("ab", (found.sides[0].a, found.sides[0].b) if found.sides else (), strict=False):
        for name in ("prompt", "model", "negative", "steps", "guidance"):
            if name in side.request:
                values[f"{letter}_{name}"] = [str(side.request[name])]
        if "width" in side.request and "height" in side.request:
            values[f"{letter}_size"] = [f"{side.request['width']}x{side.request['height']}"]
    if found.sides:
        values["seed"] = [str(max(found.sides[0].verdict.seeds, default=0) + 1)]
    return Form(values)


def _go(request: Request, url: str) -> Response:
    return Response(status_code=204, headers={"hx-redirect": url}) if wants_fragment(request) else see(url)
