"""What is seen while pictures are drawn: a bar with steps, rate and time left, and the picture as it forms."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from limner.types import Loading, Step

if TYPE_CHECKING:
    from rich.console import RenderableType


class Progress(Protocol):
    """Told of steps; erased when closed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def loading(self, event: Loading) -> None: ...

    def step(self, event: Step) -> None: ...

    def made(self) -> None: ...

    def aside(self) -> AbstractContextManager[None]:
        """Step aside while something is printed."""
        ...


class Silent:
    """No progress: --quiet, or nobody is looking at stderr."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def loading(self, event: Loading) -> None:
        pass

    def step(self, event: Step) -> None:
        pass

    def made(self) -> None:
        pass

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()


class Bar:
    """A bar of the picture in work, on stderr; with ``preview``, the picture above it."""

    def __init__(self, total: int, *, preview: bool = False) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        from limner.cli.console import console

        self._total, self._done, self._preview = total, 0, preview
        self._image: RenderableType | None = None
        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            auto_refresh=False,
        )
        self._task = self._bar.add_task("getting ready", total=None, rate="")
        # No redirection: rich would send our stdout, which may be a pipe, to stderr. ``aside`` keeps the two apart.
        self._live = Live(
            get_renderable=self._drawn,
            console=console(stderr=True),
            transient=True,
            refresh_per_second=12,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def loading(self, event: Loading) -> None:
        self._bar.reset(self._task, description=f"loading {event.model} ({event.part})", total=None, rate="")

    def step(self, event: Step) -> None:
        if event.step <= 1 or self._bar.tasks[0].total != event.steps:
            name = f"picture {self._done + 1}/{self._total}" if self._total > 1 else "drawing"
            self._bar.reset(self._task, description=name, total=event.steps, rate="")
        task = self._bar.tasks[0]
        self._bar.update(self._task, completed=event.step, rate=f"{task.speed:.1f} steps/s" if task.speed else "")
        if self._preview and event.preview is not None:
            from PIL import Image

            from limner.cli.terminal import PREVIEW_ROWS, HalfBlocks

            self._image = HalfBlocks(Image.fromarray(event.preview), PREVIEW_ROWS)

    def made(self) -> None:
        self._done += 1
        self._image = None

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def _drawn(self) -> RenderableType:
        from rich.console import Group

        return self._bar if self._image is None else Group(self._image, self._bar)


def progress(total: int, *, quiet: bool, preview: bool = False) -> Progress:
    """The progress that suits: a Bar where a person looks at stderr, else Silent. ``total`` counts pictures."""
    if quiet or not sys.stderr.isatty():
        return Silent()
    return Bar(total, preview=preview)
