"""How long a picture takes here: as jobs like it took."""

from __future__ import annotations

from statistics import median

from limner.serve.jobs import Body
from limner.serve.service import Service
from limner.types import Request

LOOKED_AT = 40
REMEMBERED = 5
DECIDING = ("model", "width", "height", "steps", "solver", "guidance", "hires", "upscale", "init")
"""Fields that decide how long a picture takes."""


def measured(own: Service, wanted: Request) -> float | None:
    """Seconds a picture that jobs like this one took here; ``None`` where there were none. Pictures that are drawn
    together take longer each, and less altogether: so the jobs say it, not the pictures' own clocks."""
    took = [
        (job.ended - job.started) / job.n
        for job in own.queue.listed("done", limit=LOOKED_AT)
        if job.kind == "draw" and job.started and job.ended and _alike(job.body, wanted)
    ]
    return median(took[:REMEMBERED]) if took else None


def _alike(body: Body, wanted: Request) -> bool:
    said = wanted.model_dump(mode="json", exclude_defaults=True)
    return all(body.get(name) == said.get(name) for name in DECIDING)


def usual(own: Service, model: str, *, default: bool) -> float | None:
    """Seconds a picture by a model as it usually draws; ``None`` where it has not drawn lately. Nothing is planned for
    it: the first page must not wait."""
    names = (model, None) if default else (model,)
    found = (measured(own, Request(prompt="a picture", model=name)) for name in names)
    return next((each for each in found if each is not None), None)
