"""What is seen while pictures are drawn: a bar with steps, rate and time left, and the picture as it forms."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from limner.types import Loading, Step

if TYPE_CHECKING:
    from rich.console import RenderableType

# The terminal echoes ^C where the cursor is, at the bar's end: on a full line that would go over to the next one, and
# what is erased afterwards would be the wrong line.
MARGIN = 6
WINDOW = 30  # steps the rate is measured over


class Progress:
    """Told of steps; erased when closed. This one shows nothing: --quiet, or nobody looks at stderr."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Erase it."""

    def loading(self, event: Loading) -> None:
        """Weights are being read."""

    def step(self, event: Step) -> None:
        """A step is done."""

    def stopping(self) -> None:
        """Ctrl-C was pressed. Called from a signal handler, in the middle of anything."""
        from limner.cli.console import say

        say(STOPPING, dim=True)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Step aside while something is printed."""
        yield


STOPPING = "stopping at the next step; Ctrl-C again stops at once"


class Steps:
    """Counts steps of ``total`` pictures, drawn one after the other or together, as a share and a rate."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._finished = 0
        self._current: dict[int, tuple[int, int]] = {}
        self._times: deque[float] = deque(maxlen=WINDOW)

    def add(self, event: Step, now: float) -> None:
        """A step at time ``now`` in seconds. An index that starts again is another request's picture."""
        before = self._current.get(event.index)
        if before is not None and event.step < before[0]:
            self._finished += 1
            del self._current[event.index]
        self._current[event.index] = (event.step, event.steps)
        self._times.append(now)

    @property
    def begun(self) -> int:
        """Pictures begun so far."""
        return self._finished + len(self._current)

    @property
    def share(self) -> float:
        """Pictures done, counting parts."""
        return self._finished + sum(step / max(steps, 1) for step, steps in self._current.values())

    @property
    def rate(self) -> float | None:
        """Steps a second, lately."""
        if len(self._times) < 2 or self._times[-1] <= self._times[0]:
            return None
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])


class Bar(Progress):
    """One bar for all pictures, on stderr; with ``preview``, the picture in work above it."""

    def __init__(self, total: int, *, preview: bool = False) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        from limner.cli.console import console

        self._steps, self._preview = Steps(total), preview
        self._image: RenderableType | None = None
        rate = TextColumn("{task.fields[rate]}")
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(32), rate, TimeRemainingColumn())
        self._bar = RichProgress(*columns, auto_refresh=False)
        self._task = self._bar.add_task("getting ready", total=total, rate="")
        self._console = console(stderr=True)
        # No redirection: rich would send our stdout, which may be a pipe, to stderr. ``aside`` keeps the two apart.
        self._live = Live(
            get_renderable=self._drawn,
            console=self._console,
            transient=True,
            refresh_per_second=12,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._stopping = False

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def loading(self, event: Loading) -> None:
        self._bar.update(self._task, description=f"loading {event.model} ({event.part})")

    def step(self, event: Step) -> None:
        self._steps.add(event, time.monotonic())
        steps, rate = self._steps, self._steps.rate
        which = f"picture {steps.begun}/{steps.total}, " if steps.total > 1 else ""
        said = STOPPING if self._stopping else f"{which}step {event.step}/{event.steps}"
        self._bar.update(
            self._task, completed=steps.share, description=said, rate=f"{rate:.1f} steps/s" if rate else ""
        )
        if self._preview and event.preview is not None:
            from PIL import Image

            from limner.cli.terminal import PREVIEW_ROWS, HalfBlocks

            self._image = HalfBlocks(Image.fromarray(event.preview), PREVIEW_ROWS)

    def stopping(self) -> None:
        self._stopping = True
        self._bar.update(self._task, description=STOPPING)

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def _drawn(self) -> RenderableType:
        from rich.console import Group
        from rich.constrain import Constrain

        bar = Constrain(self._bar, max(self._console.width - MARGIN, 20))
        return bar if self._image is None else Group(self._image, bar)


def progress(total: int, *, quiet: bool, preview: bool = False) -> Progress:
    """The progress that suits: a Bar where a person looks at stderr. ``total`` counts pictures."""
    return Progress() if quiet or not sys.stderr.isatty() else Bar(total, preview=preview)
