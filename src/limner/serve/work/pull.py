"""Fetching a model, or a scorer's weights, from the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limner.errors import OfflineError
from limner.serve.jobs import Body
from limner.serve.native.bodies import PullJob
from limner.serve.work.fetching import fetch, reporting
from limner.serve.work.tell import Work

if TYPE_CHECKING:
    from limner.models.hub.repo import Progress
    from limner.session import Session


def run(session: Session, work: Work) -> Body:
    """Fetch. Raises ``ModelError``, ``OfflineError``, ``StorageError``, ``Cancelled``."""
    wanted = PullJob.model_validate(work.ask.body)
    if wanted.what == "metric":
        return _metric(session, work, wanted.name)
    found = fetch(session, work, wanted.name)
    if found is None:
        return {"name": wanted.name, "fetched_bytes": 0}
    for notice in found.notices:
        work.tell("warned", code=notice.code, message=notice.message)
    size = sum(path.stat().st_size for path in {path.resolve() for path in found.files.paths.values()})
    return {"name": found.card.name, "repo": found.ref.repo, "commit": found.ref.commit, "bytes": size}


def _metric(session: Session, work: Work, name: str) -> Body:
    from limner.evaluate.state import package
    from limner.models.packages import pull, to_fetch

    wanted = package(name)
    if wanted is None:
        return {"name": name, "fetched_bytes": 0}
    if session.offline and to_fetch(wanted, session.settings):
        raise OfflineError(f"{name} cannot be fetched: the server is offline", hint="start it without --offline")
    report = reporting(work, name)
    fetched: dict[str, int] = {}

    def counted(progress: Progress) -> None:
        fetched[progress.file] = max(progress.done, fetched.get(progress.file, 0))
        report(progress)

    paths = pull(wanted, session.settings, counted)
    return {
        "name": name,
        "fetched_bytes": max(fetched.values(), default=0),
        "bytes": sum(path.stat().st_size for path in paths.values()),
    }
