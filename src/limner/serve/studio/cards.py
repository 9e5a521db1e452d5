"""Jobs as the feed shows them: a stage with a place for every picture, and how it stands. Asks the disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from limner.errors import LimnerError
from limner.serve.jobs import Job, Kind
from limner.serve.native.pictures import PictureView, get
from limner.serve.shell import Shell
from limner.types import Plan, Request

KINDS: frozenset[Kind] = frozenset({"draw", "upscale", "pull"})
"""Kinds of jobs that the feed shows; studies have their own page."""
NATIVE = (512, 512)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture goes: ``picture`` is there, or ``None`` while it is not."""

    index: int
    picture: PictureView | None


@dataclass(frozen=True, slots=True)
class JobCard:
    """A job and its places. ``width`` and ``height`` are a picture's, in pixels; ``wait`` and ``left`` are seconds."""

    job: Job
    places: tuple[Place, ...]
    width: int
    height: int
    model: str
    wait: float | None
    left: float
    meanwhile: Mapping[str, object]

    @property
    def made(self) -> str:
        return ",".join(str(each.index) for each in self.places if each.picture is not None)

    @property
    def seconds(self) -> float | None:
        return None if self.job.started is None or self.job.ended is None else self.job.ended - self.job.started

    @property
    def columns(self) -> int:
        """Of its grid, on a wide screen."""
        count = len(self.places)
        return count if count <= 4 else 4 if count <= 8 else 6


def cards(inside: Shell, jobs: Iterable[Job]) -> list[JobCard]:
    """The cards of jobs that the feed shows."""
    return [card(inside, job) for job in jobs if job.kind in KINDS]


def card(inside: Shell, job: Job) -> JobCard:
    """One job's card."""
    own = inside.service
    pictures = [None if name is None else _picture(inside, name) for name in job.pictures]
    places = [Place(k, found) for k, found in enumerate(pictures) if found is not None or not job.over]
    if job.kind == "pull":
        places = []
    first = next((each for each in pictures if each is not None), None)
    width, height, model = _outlook(inside, job) if first is None else (first.width, first.height, first.model)
    left = 0.0 if job.over else own.inside.rate.wait(max(0, job.n - len(job.made)))
    return JobCard(job, tuple(places), width, height, model, own.seconds_until(job), left, _meanwhile(job))


def _picture(inside: Shell, name: str) -> PictureView | None:
    """``None`` for one that was deleted since."""
    try:
        return PictureView.of(get(inside, name))
    except LimnerError:
        return None


def _outlook(inside: Shell, job: Job) -> tuple[int, int, str]:
    """Size and model of pictures that are not there yet, as planned."""
    own = inside.service
    model = str(job.body.get("model") or own.settings.value("model").value or "pocket")
    if job.over or job.kind != "draw":
        return *NATIVE, model
    plans = own.queue.ask(job.id).plans
    if not plans:
        return *NATIVE, model
    plan = Plan.model_validate(plans[0])
    return *plan.recipe.finished, plan.model.name


def _meanwhile(job: Job) -> Mapping[str, object]:
    """What was asked for, as far as it can be put into a link."""
    if job.kind != "draw":
        return {}
    request = Request.model_validate(job.body)
    return {"prompt": request.prompt}
