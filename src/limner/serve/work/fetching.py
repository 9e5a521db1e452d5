"""Bringing a model's files here before anything is planned, told in bytes as they come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from limner.errors import Cancelled
from limner.serve.work.tell import Work

if TYPE_CHECKING:
    from limner.models.hub.repo import Progress, Report
    from limner.models.resolving.resolve import Resolved
    from limner.session import Session

PAUSE = 0.25  # seconds between two tidings of a download


def fetch(session: Session, work: Work, name: str | None) -> Resolved | None:
    """Have a model's files on this machine; ``None`` where it ships with Limner. What arrived stays when the job is
    stopped, and the next attempt goes on from there. Raises ``ModelError``, ``UnknownName``, ``OfflineError``,
    ``Cancelled``."""
    from limner.models.resolving.resolve import resolve

    wanted = name or str(session.settings.value("model").value or "pocket")
    card = session.catalog.find(wanted)
    if card is not None and card.built_in:
        return None
    report = reporting(work, wanted)
    return resolve(wanted, session.settings, session.catalog, offline=session.offline, folders=False, report=report)


def reporting(work: Work, name: str) -> Report:
    """A report that tells ``note`` {text, done, total, seconds}: bytes, and the seconds that the rest may take."""
    began = time.monotonic()
    first: int | None = None
    told = 0.0

    def report(progress: Progress) -> None:
        nonlocal first, told
        if work.stopping:
            raise Cancelled("the download was stopped", hint="what arrived is kept; fetching again goes on from there")
        now = time.monotonic()
        first = progress.done if first is None else first
        if now - told < PAUSE and progress.done < progress.total:
            return
        told, came = now, progress.done - first
        left = (progress.total - progress.done) * (now - began) / came if came else None
        work.tell(
            "note", text=f"fetching {name}: {progress.file}", done=progress.done, total=progress.total, seconds=left
        )

    return report
