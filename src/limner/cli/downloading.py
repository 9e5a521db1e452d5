"""Bringing a model's files here with a bar, before planning: gigabytes must not arrive in silence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from limner.cli.terms import tell_once

if TYPE_CHECKING:
    from limner.cli.drawing import Telling
    from limner.models.hub.repo import Progress, Report
    from limner.session import Session


def fetch(session: Session, model: str | None, telling: Telling) -> None:
    """Have the files of ``model`` (unset: the default one) on this machine. Raises ``ModelError``, ``UnknownName``.

    What its licence asks for is told first, once. Planning would fetch the files too, but silently; here it is seen,
    and planning finds them.
    """
    name = model or str(session.settings.value("model").value or "pocket")
    card = session.catalog.find(name)
    if card is not None and card.built_in:
        return
    if card is not None:
        tell_once(card, session.settings.data, telling)
    from limner.models.resolving.resolve import resolve

    with reporting(name, telling) as report:
        resolve(name, session.settings, session.catalog, offline=session.offline, report=report)


@contextmanager
def reporting(name: str, telling: Telling) -> Iterator[Report]:
    """A report that shows itself when its first bytes come: a bar where a person looks, else one line."""
    if telling.quiet or telling.json or not sys.stderr.isatty():
        yield _Line(name, telling)
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    from limner.cli.console import console

    columns = (TextColumn("{task.description}"), BarColumn(32), DownloadColumn(), TransferSpeedColumn())
    bar = Bar(
        *columns,
        TimeRemainingColumn(),
        console=console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task = bar.add_task(f"downloading {name}", total=None, visible=False)

    def report(progress: Progress) -> None:
        bar.start()
        bar.update(task, completed=progress.done, total=progress.total, visible=True)

    try:
        yield report
    finally:
        bar.stop()


class _Line:
    """Says once that a download has begun, and how large it is."""

    def __init__(self, name: str, telling: Telling) -> None:
        self._name, self._telling, self._said = name, telling, False

    def __call__(self, progress: Progress) -> None:
        from limner.models.machine import gigabytes

        if not self._said:
            self._said = True
            self._telling.say(f"downloading {self._name}: {gigabytes(progress.total)}")
