"""Refining a prompt. What is done is in the journal: an attempt that was killed, or stopped, is gone on with."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from limner.disk import write_atomic
from limner.errors import Cancelled, LimnerError
from limner.refine.design import Budget
from limner.refine.journal import FOLDER, stored
from limner.refine.preparing import Wishes
from limner.refine.refining import Faces, Refining, begin, resume
from limner.refine.report.page import write as write_report
from limner.refine.report.refined import report_of
from limner.serve.jobs import Body
from limner.serve.native.bodies import RefineJob
from limner.serve.studies.ties import Ties
from limner.serve.studies.told import refinement_told
from limner.serve.work.fetching import fetch
from limner.serve.work.painting import Painter
from limner.serve.work.tell import Work
from limner.serve.work.watching import Watched
from limner.types import Notice

if TYPE_CHECKING:
    from limner.refine.refinement import Refinement
    from limner.session import Session

NOW = ".now.json"
"""Beside a journal: what is known so far, for whoever looks while it runs, and of one that was stopped."""
PAUSE = 1.0  # seconds between two of them


def run(session: Session, work: Work) -> Body:
    """Search and prove. A job that is stopped leaves what it found, not verified; its study can be gone on with.

    Raises what ``begin`` and drawing raise, ``Cancelled``."""
    wanted = RefineJob.model_validate(work.ask.body)
    refining = _taken_up(session, work, wanted)
    session = refining.session
    work.tell("note", text="what is fixed from here on is stored", study=refining.journal.id)
    keeper = Keeper(session, refining)
    painter = Painter(session, work, total=_pictures(refining), done=len(refining.journal.shots), before=keeper.look)
    refining.use(
        Faces(
            draw=painter,
            score=Watched(session, work, painter),
            tell=painter.note,
            warn=lambda text: painter.warn(Notice(code="refine", message=text)),
        )
    )
    found = refining.run()
    if found.outcome == "stopped":
        keeper.keep(found)
        raise Cancelled("stopped: the best so far is kept, not verified", hint=f"go on with refinement {found.id}")
    keeper.finish(found)
    return refinement_told(found)


def _taken_up(session: Session, work: Work, wanted: RefineJob) -> Refining:
    """The refinement that a former attempt of this job began, that is to be gone on with, or a new one."""
    ties = Ties(session.settings.data)
    known = ties.of(work.job) or wanted.resume
    if known is None:
        session.precheck(wanted.request)
    fetch(session, work, wanted.request.model)
    if known is not None:
        refining = _resumed(session, known)
    else:
        request = wanted.request if wanted.seed is None else wanted.request.but(seed=wanted.seed)
        refining = begin(request, session, wishes_of(wanted))
    ties.tie(work.job, refining.journal.id)
    return refining


def _resumed(session: Session, study: str) -> Refining:
    """A stored refinement; one that the command line began is drawn as it was begun, a model call for each picture."""
    refining = resume(session, study)
    identity = refining.design.identity
    if not identity or refining.plan(refining.design.request).identity == identity:
        return refining
    from limner.session import Session as Fresh

    settings, backend, offline = session.settings, session._backend, session.offline
    alone = resume(Fresh(settings=settings, backend=backend, batching="alone", offline=offline, scored=False), study)
    return alone if alone.plan(alone.design.request).identity == identity else refining


def wishes_of(wanted: RefineJob) -> Wishes:
    """What the job asks for, as a refinement takes it; a budget of seconds goes before one of pictures."""
    budget = Budget(images=wanted.images) if wanted.seconds is None else Budget(seconds=wanted.seconds)
    return Wishes(
        budget,
        wanted.strategies,
        wanted.scorers,
        wanted.judges,
        wanted.text,
        wanted.margin,
        force=wanted.force,
        diversity_margin=wanted.diversity_margin,
        worthwhile=wanted.worthwhile,
    )


def _pictures(refining: Refining) -> int:
    design = refining.design
    return design.search_pictures + design.verdict_pictures if design.rungs else design.images


class Keeper:
    """Keeps what is known so far beside the journal, and at the end the report."""

    def __init__(self, session: Session, refining: Refining) -> None:
        self._session, self._refining = session, refining
        self._folder = None if refining.journal.path is None else session.settings.library_root / FOLDER
        self._next = 0.0

    def look(self) -> None:
        """Keep the state between two portions of drawing, now and then."""
        if time.monotonic() >= self._next:
            self.keep(self._refining.result(stopped=True))
            self._next = time.monotonic() + PAUSE

    def keep(self, found: Refinement) -> None:
        """As it stands. Raises ``StorageError``."""
        if self._folder is not None:
            data = json.dumps(stored(found), ensure_ascii=False).encode("utf-8", "surrogateescape")
            write_atomic(self._folder / f"{found.id}{NOW}", data)

    def finish(self, found: Refinement) -> None:
        """The journal has it now; beside it comes the report. One that cannot be written takes nothing away."""
        if self._folder is None:
            return
        try:
            write_report(report_of(found, self._session), self._folder / f"{found.id}.html")
            (self._folder / f"{found.id}{NOW}").unlink(missing_ok=True)
        except (LimnerError, OSError):
            return
