"""Enlarging a picture of the library; the result is its child."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limner.serve.jobs import Body
from limner.serve.native.bodies import UpscaleJob
from limner.serve.work.painting import Painter
from limner.serve.work.tell import Work

if TYPE_CHECKING:
    from limner.session import Session


def run(session: Session, work: Work) -> Body:
    """Enlarge. Raises what planning and drawing raise, ``PictureNotFound``."""
    wanted = UpscaleJob.model_validate(work.ask.body)
    if 0 in work.made:  # a former attempt got so far
        return {"picture": work.made[0], "parent": wanted.picture}
    entry = session.library.get(wanted.picture)
    name = wanted.upscaler if wanted.factor is None else f"{wanted.upscaler}:{wanted.factor:g}"
    plan = session.plan_upscaling(entry.path, name, parent=wanted.picture)
    made = Painter(session, work, total=1, steps=True)([plan])
    return {"picture": made[0].id, "parent": wanted.picture}
