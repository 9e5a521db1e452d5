"""The Models page: what fits, and get it."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from limner.errors import InvalidRequest, LimnerError, OfflineError
from limner.models.hub.cache import cache_folder
from limner.serve.jobs import Job
from limner.serve.names import refuse_path
from limner.serve.native.accepting import accept
from limner.serve.native.bodies import JobId, PullJob
from limner.serve.native.lists import LinkedView, ModelView, listed
from limner.serve.native.lookup import NoSuchJob
from limner.serve.service import Service
from limner.serve.shell import service
from limner.serve.studio.templating import form_of, fragment, page, see, wants_fragment
from limner.types import Request as Asked

router = APIRouter()
Own = Annotated[Service, Depends(service)]
Find = Annotated[str, Query(max_length=200)]
Group = Literal["Here", "Fits this machine", "Fit not known", "Too big here"]
GROUPS: tuple[Group, ...] = ("Here", "Fits this machine", "Fit not known", "Too big here")
HUB_ROWS = 12
LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Row:
    """A model as it is listed. ``seconds`` a picture takes here, where that is known."""

    view: ModelView
    group: Group
    seconds: float | None

    @property
    def builtin(self) -> bool:
        return self.view.here and self.view.repo is None


@dataclass(frozen=True, slots=True)
class Offer:
    """What getting a model brings: bytes as the hub says them now, ``None`` where it does not say; the licence."""

    name: str
    title: str
    bytes: int | None
    free: int
    licence: str
    restrictions: str
    gated: bool
    repo: str
    trouble: str = ""
    hint: str = ""

    @property
    def room(self) -> bool:
        return self.bytes is None or self.bytes < self.free


@router.get("/models")
async def models(request: Request, own: Own, find: Find = "") -> Response:
    """The list, and what is being fetched."""
    rows = await asyncio.to_thread(partial(found, own, find))
    said = {**await fetching(own), **rows, "find": find.strip()}
    return page(request, "models/page.html", "models", said)


@router.get("/ui/models")
async def filtered(own: Own, find: Find = "") -> Response:
    """The list alone."""
    rows = await asyncio.to_thread(partial(found, own, find))
    return fragment("models/_list.html", {**rows, "find": find.strip()})


@router.get("/ui/models/hub")
async def on_the_hub(own: Own, find: Find = "") -> Response:
    """Text-to-image models of the hub by words. Raises ``OfflineError``, ``NetworkError``."""
    words = find.strip()
    if own.session.offline:
        raise OfflineError("the hub cannot be searched: the server is offline", hint="start it without --offline")
    if not words:
        raise InvalidRequest("there is nothing to search for", field="find", hint="type some words")
    from limner.models.hub.search import search

    results = await asyncio.to_thread(partial(search, words, HUB_ROWS))
    return fragment("models/_hub.html", {"results": results, "find": words})


@router.get("/models/get")
async def offer_page(request: Request, own: Own, name: Find) -> Response:
    """What getting a model brings, to be confirmed; a page for who has no script."""
    said = {"offer": await asyncio.to_thread(partial(offered, own, name.strip()))}
    return page(request, "models/get.html", "models", said)


@router.get("/ui/models/get")
async def offer(own: Own, name: Find) -> Response:
    """The same as a piece of the page."""
    return fragment("models/_offer.html", {"offer": await asyncio.to_thread(partial(offered, own, name.strip()))})


@router.post("/ui/models/get")
async def fetch(request: Request, own: Own) -> Response:
    """Fetch it. Raises as accepting a job does."""
    name = (await form_of(request)).get("name", [""])[0].strip()[:200]
    pending = await fetching(own)
    jobs = pending["jobs"]
    assert isinstance(jobs, list)
    if name not in {job.title for job, _ in jobs}:
        await accept(own, PullJob(kind="pull", name=name), client="studio")
    if not wants_fragment(request):
        return see("/models")
    return fragment("models/_fetching.html", await fetching(own))


@router.get("/ui/models/fetching")
async def under_way(own: Own) -> Response:
    """What is being fetched, as it stands."""
    return fragment("models/_fetching.html", await fetching(own))


@router.post("/ui/models/{id}/stop")
async def stop(request: Request, own: Own, id: Annotated[JobId, Path()]) -> Response:
    """Stop a download; what arrived is kept."""
    job = await own.job(id)
    if job is None or job.kind != "pull":
        raise NoSuchJob(id)
    await own.cancel(id)
    return fragment("models/_fetching.html", await fetching(own)) if wants_fragment(request) else see("/models")


async def fetching(own: Service) -> dict[str, object]:
    """Downloads under way or waiting, each with its newest word; and those that failed in the last hour."""
    jobs = [job for job in await own.jobs("running", "queued", limit=LOOKED_AT) if job.kind == "pull"]
    over = [job for job in await own.jobs("failed", "done", limit=20) if job.kind == "pull"]
    latest: dict[str, Job] = {}
    for job in over:
        latest.setdefault(job.title, job)
    busy = {job.title for job in jobs}
    notes = [own.hub.last(job.id, "note") for job in jobs]
    told = [(job, {} if note is None else dict(note.data)) for job, note in zip(jobs, notes, strict=True)]
    recent = [job for job in latest.values() if (job.ended or 0) >= own.started and job.title not in busy]
    return {"jobs": told, "over": recent}


def found(own: Service, find: str) -> dict[str, object]:
    """The models that hold all the words, in groups; the user's own. Asks the disk."""
    everything = listed(own)
    words = find.lower().split()
    views = [each for each in everything.models if all(word in _text(each) for word in words)]
    rows = [Row(each, _group(each), _seconds(own, each)) for each in views]
    groups = [(name, [row for row in rows if row.group == name]) for name in GROUPS]
    linked = [each for each in everything.linked if all(word in each.name.lower() for word in words)]
    return {
        "groups": [(name, part) for name, part in groups if part],
        "linked": _by_kind(linked),
        "free": _free(),
        "offline": own.session.offline,
        "why": _why(own),
        "exact": _repo_like(find) and not any(find.strip() in (each.repo, each.name) for each in everything.models),
        "nothing": not views and not linked,
    }


def offered(own: Service, name: str) -> Offer:
    """What getting ``name`` brings. Asks the hub for the size, where it may. Raises ``InvalidRequest``."""
    refuse_path(name, "name")
    card = own.session.catalog.find(name.partition("@")[0])
    if card is None and not _repo_like(name):
        raise InvalidRequest(
            f"{name[:60]!r} is no model of the catalog, and not owner/name of the hub",
            field="name",
            hint="for example sdxl, or stabilityai/stable-diffusion-xl-base-1.0",
        )
    repo = name.partition("@")[0] if card is None else card.repo or ""
    said = Offer(
        name,
        name if card is None else card.title,
        None if card is None else card.size_bytes,
        _free(),
        "not known" if card is None else card.licence,
        "" if card is None else card.restrictions,
        card is not None and bool(card.gated),
        repo,
    )
    if own.session.offline:
        return _but(said, "The server is offline: nothing can be fetched.", "start it without --offline")
    try:
        return _asked(own, said)
    except LimnerError as error:
        return _but(said, error.message, error.hint)


def _asked(own: Service, said: Offer) -> Offer:
    """With what the hub says now."""
    from limner.models.hub.cache import RepoName
    from limner.models.hub.repo import look_up
    from limner.models.resolving.resolve import download_bytes

    count = download_bytes(said.name, own.settings, own.session.catalog)
    licence, gated = said.licence, said.gated
    if own.session.catalog.find(said.name.partition("@")[0]) is None:
        listing = look_up(RepoName(said.repo, said.name.partition("@")[2] or "main"))
        licence, gated = listing.licence or "its page names none", listing.gated
    return Offer(said.name, said.title, count, said.free, licence, said.restrictions, gated, said.repo)


def _but(said: Offer, trouble: str, hint: str) -> Offer:
    rest = (said.licence, said.restrictions, said.gated, said.repo)
    return Offer(said.name, said.title, said.bytes, said.free, *rest, trouble, hint)


def _text(view: ModelView) -> str:
    return " ".join((view.name, view.title, view.family, view.repo or "", view.blurb, view.licence)).lower()


def _group(view: ModelView) -> Group:
    if view.here:
        return "Here"
    return {True: GROUPS[1], None: GROUPS[2], False: GROUPS[3]}[view.fits]


def _seconds(own: Service, view: ModelView) -> float | None:
    """What a picture takes here, as a plan says it; of models that are not here nothing is asked."""
    if not view.here:
        return None
    try:
        return own.session.foresee(Asked(prompt="a picture", model=view.name))[0].estimate.seconds_per_image
    except LimnerError:
        return None


def _by_kind(linked: list[LinkedView]) -> list[tuple[str, list[str]]]:
    kinds = dict.fromkeys(each.kind for each in linked)
    return [(kind, [each.name for each in linked if each.kind == kind]) for kind in kinds]


def _why(own: Service) -> str:
    """What forbids the network, where it is forbidden."""
    if not own.session.offline:
        return ""
    return str(own.settings.value("network.offline").origin) if own.settings.offline else "--offline"


def _free() -> int:
    folder = cache_folder()
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    return shutil.disk_usage(there).free


def _repo_like(text: str) -> bool:
    owner, slash, name = text.strip().partition("@")[0].partition("/")
    return bool(owner and slash and name) and "/" not in name and " " not in text.strip()
