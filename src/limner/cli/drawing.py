"""Following a Generation to its end: progress, warnings, results. Ctrl-C stops at the next step; again, at once."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from limner.cli.console import out, say
from limner.cli.faults import INTERRUPTED
from limner.cli.progress import Progress, progress
from limner.cli.targets import Target
from limner.errors import Cancelled as CancelledError
from limner.types import Cancelled, Done, Failed, Loading, Made, Notice, Picture, Step, Warned

if TYPE_CHECKING:
    from limner.session import Generation

AS_ASKED = frozenset({"steps-run", "second-pass", "part-drawn", "tiled", "enlarged", "init-resized"})
"""Codes of notices that say in figures what was asked for: told, but no warning."""
SHOW_CURSOR = b"\r\x1b[?25h\n"


@dataclass(frozen=True, slots=True)
class Telling:
    """How it is told. ``json``: one object a picture on stdout, else its path. ``show``: the picture itself, too."""

    json: bool = False
    quiet: bool = False
    preview: bool = False
    show: bool = False

    @classmethod
    def of(cls, *, as_json: bool, quiet: bool, preview: bool = False, show: bool | None = None) -> Telling:
        """``show`` unset: where stdout is a terminal that can."""
        from limner.cli.terminal import can_show

        wanted = can_show() if show is None else show
        return cls(as_json, quiet, preview and not quiet, wanted and not as_json and not (quiet and show is None))

    @property
    def to_people(self) -> bool:
        """Does anybody read more than results: not with --quiet or --json."""
        return not self.quiet and not self.json

    def say(self, text: str) -> None:
        """A line for people."""
        if self.to_people:
            say(text, dim=True)

    def warn(self, text: str) -> None:
        """A warning. --quiet does not hide it; with --json it is in the object."""
        if not self.json:
            say(f"warning: {text}", warn=True)


@dataclass(slots=True)
class Follower:
    """Follows any number of Generations behind one progress display of ``total`` pictures.

    ``target`` takes copies. ``paths``: tell each picture's path, and show it. ``silent``: progress and
    warnings alone. ``extra`` is added to each picture's JSON.
    """

    telling: Telling
    total: int
    target: Target | None = None
    paths: bool = True
    silent: bool = False
    extra: dict[str, object] = field(default_factory=dict)
    made: int = 0
    interrupted: bool = False
    """Ctrl-C was pressed; where that was at the very last step, all is made nevertheless."""
    _warned: set[Notice] = field(default_factory=set)
    _progress: Progress | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The progress display is up inside."""
        with progress(self.total, quiet=self.telling.quiet, preview=self.telling.preview) as shown:
            self._progress = shown
            yield

    def follow(
        self,
        generation: Generation,
        label: Callable[[int], str] = lambda k: str(k + 1),
        stored: Callable[[int, Picture], None] = lambda k, image: None,
    ) -> list[Picture]:
        """Run to the end; the pictures made. ``label(k)`` names picture k (from 0) in its copy's name.

        ``stored`` is told of each picture before anything else is done with it. Raises the error that stopped it,
        ``errors.Cancelled`` after Ctrl-C.
        """
        assert self._progress is not None
        shown, pictures = self._progress, list[Picture]()

        def cancel() -> None:
            self.interrupted = True
            generation.cancel()

        with _interruptible(cancel, shown):
            for event in generation:
                match event:
                    case Loading():
                        shown.loading(event)
                    case Step():
                        shown.step(event)
                    case Warned(notice):
                        self._warn(notice)
                    case Made(index, image):
                        stored(index, image)
                        pictures.append(image)
                        self._made(image, label(index))
                    case Failed(error):
                        self._tell_kept()
                        raise error
                    case Cancelled():
                        raise CancelledError(self._stopped_text())
                    case Done():
                        break
        return pictures

    def aside(self) -> AbstractContextManager[None]:
        """The progress display steps aside for what is printed inside."""
        return nullcontext() if self._progress is None else self._progress.aside()

    def copy(self, image: Picture, label: str) -> None:
        """Write a copy of a picture that was drawn before, and tell of it. Raises ``StorageError``."""
        assert self.target is not None
        copy = self.target.write(image, label)
        with self.aside():
            self._tell(image, copy)

    def _made(self, image: Picture, label: str) -> None:
        self.made += 1
        copy = self.target.write(image, label) if self.target is not None else None
        if self.silent:
            return
        with self.aside():
            self._tell(image, copy)
            self.telling.say(facts(image, number=self.made, total=self.total))
            if self.telling.show and self.paths:
                from limner.cli.terminal import show

                show(image.pixels)

    def _tell(self, image: Picture, copy: Path | None) -> None:
        """The line on stdout."""
        where = copy or image.path
        if self.telling.json:
            out(json.dumps(summary(image, copy) | self.extra, ensure_ascii=False))
        elif where is not None and self.paths:
            out(str(where))

    def _warn(self, notice: Notice) -> None:
        if notice not in self._warned:
            self._warned.add(notice)
            with self.aside():
                (self.telling.say if notice.code in AS_ASKED else self.telling.warn)(notice.message)

    def _tell_kept(self) -> None:
        if self.made:
            self.telling.say(f"{counted(self.made)} finished before this")

    def _stopped_text(self) -> str:
        if not self.made:
            return "stopped; nothing was finished"
        return f"stopped; {self.made} of {counted(self.total)} finished and kept"


@contextmanager
def _interruptible(cancel: Callable[[], None], shown: Progress) -> Iterator[None]:
    """The first Ctrl-C cancels, so that what is finished is kept; the second leaves at once."""

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, second)
        shown.stopping()
        cancel()

    def second(number: int, frame: FrameType | None) -> NoReturn:
        if sys.stderr.isatty():
            os.write(2, SHOW_CURSOR)  # the bar hides it
        os._exit(INTERRUPTED)  # the engine's thread may be inside a long network call: waiting is not "at once"

    try:
        before = signal.signal(signal.SIGINT, first)
    except ValueError:  # not the main thread: whoever runs us has signals in hand
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


UPSCALING = "upscale"


def counted(n: int) -> str:
    return "1 picture" if n == 1 else f"{n} pictures"


def facts(image: Picture, *, number: int = 1, total: int = 1) -> str:
    """One line on a picture just made: seed, size, seconds, id."""
    height, width = image.pixels.shape[:2]
    parts = [f"{width}x{height}"]
    if image.record.model.family != UPSCALING:  # enlarging draws no random number
        parts.insert(0, f"seed {image.record.seed.text()}")
    if "total" in image.record.timings:
        parts.append(f"{image.record.timings['total']:.2f} s")
    if image.id is not None:
        parts.append(image.id)
    head = f"{number}/{total}  " if total > 1 else ""
    return f"  {head}{' · '.join(parts)}"


def summary(image: Picture, copy: Path | None) -> dict[str, object]:
    """What --json says of a picture: JSON-ready."""
    record, (height, width) = image.record, image.pixels.shape[:2]
    return {
        "id": image.id,
        "path": None if image.path is None else str(image.path),
        "copy": None if copy is None else str(copy),
        "index": record.index,
        "seed": record.seed.seed,
        "variation_seed": record.seed.variation_seed,
        "prompt": record.prompt,
        "negative": record.negative,
        "model": record.model.name,
        "width": width,
        "height": height,
        "steps": record.request.steps,
        "guidance": record.recipe.guidance,
        "solver": record.recipe.solver,
        "device": record.numerics.device,
        "dtype": record.numerics.dtype,
        "seconds": record.timings.get("total"),
        "identity": record.identity,
        "image_key": record.image_key,
        "pixel_hash": record.pixel_hash,
        "parent": record.parent,
        "created": record.created,
        "warnings": [note.model_dump() for note in (*record.notices, *record.checks) if note.code != "checked"],
        "checks": [note.model_dump() for note in record.checks],
    }
