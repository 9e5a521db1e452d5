"""Scoring for a job: it does not begin where the job should stop, and is told of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from limner.serve.work.painting import Painter
from limner.serve.work.tell import Work
from limner.types import Score

if TYPE_CHECKING:
    from limner.image import Image
    from limner.session import Session
    from limner.session.scoring import Failures


class Watched:
    """``Session.score`` of a job."""

    def __init__(self, session: Session, work: Work, painter: Painter) -> None:
        self._session, self._work, self._painter = session, work, painter

    def __call__(
        self, images: Sequence[Image], texts: Sequence[str], metrics: Sequence[str], *, failures: Failures | None = None
    ) -> Sequence[Sequence[Score]]:
        """Raises ``Cancelled``, and what ``Session.score`` raises."""
        self._work.check()
        self._painter.note(f"scoring {len(images)} pictures by {', '.join(metrics)}")
        return self._session.score(images, texts, metrics, failures=failures)
