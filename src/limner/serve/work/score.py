"""Scoring pictures of the library; the scores are kept with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from limner.serve.jobs import Body
from limner.serve.native.bodies import ScoreJob
from limner.serve.work.tell import Work

if TYPE_CHECKING:
    from limner.session import Session
    from limner.session.scoring import Failures

PORTION = 16  # pictures between two looks at whether to stop


def run(session: Session, work: Work) -> Body:
    """Score. What is scored when the job is stopped stays. Raises what ``Session.score`` raises, ``Cancelled``."""
    wanted = ScoreJob.model_validate(work.ask.body)
    scores: list[JsonValue] = []
    failures: list[JsonValue] = []
    done = 0
    for metrics, pictures in _groups(session, wanted):
        for start in range(0, len(pictures), PORTION):
            work.check()
            part = pictures[start : start + PORTION]
            failed: Failures = {}
            found = session.score(part, wanted.text, metrics, force=wanted.force, failures=failed)
            for picture, each in zip(part, found, strict=True):
                scores += [{"picture": picture, **score.model_dump(mode="json")} for score in each]
            failures += [
                {"picture": part[k], "metric": metric, "message": error.message}
                for (k, metric), error in failed.items()
            ]
            done += len(part)
            text = f"{done} of {len(wanted.pictures)} pictures by {', '.join(metrics)}"
            work.tell("note", text=text, done=done, total=len(wanted.pictures))
    return {"scores": scores, "failures": failures}


def _groups(session: Session, wanted: ScoreJob) -> Sequence[tuple[Sequence[str], list[str]]]:
    """Which pictures are scored by which metrics: all by those named, else each by its world's own."""
    pictures = list(dict.fromkeys(wanted.pictures))
    if wanted.metrics:
        return [(wanted.metrics, pictures)]
    from limner.evaluate.defaults import panel
    from limner.models.machine import probe

    machine = probe()
    worlds: dict[str | None, list[str]] = {}
    for picture, subject in zip(pictures, session.scoring.subjects(pictures), strict=True):
        worlds.setdefault(session.scoring.world_of(subject), []).append(picture)
    return [(panel(world, machine.devices()[0], machine).search, part) for world, part in worlds.items()]
