"""What one server keeps for the web UI's clients while it runs: options, and which requests are being answered."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from starlette.requests import HTTPConnection  # FastAPI reads it of the dependency's signature

from limner.serve.a1111.settings import Kept

if TYPE_CHECKING:
    from limner.serve.jobs import Tiding

What = Literal["txt2img", "img2img", "extras"]
BEGUN = 0.01  # what the web UI calls the progress of what has only begun


@dataclass
class Task:
    """A request that is being answered. ``job`` is unset until the queue has it; ``steps`` are (done, of) by picture;
    ``first`` is the place of the job's first picture, where a request has several jobs."""

    what: What
    n: int
    name: str
    began: float = field(default_factory=time.time)
    job: str | None = None
    made: set[int] = field(default_factory=set)
    steps: dict[int, tuple[int, int]] = field(default_factory=dict)
    preview: bytes | None = None
    said: str = ""
    interrupted: bool = False
    skipped: bool = False
    first: int = 0

    def heard(self, tiding: Tiding) -> None:
        """What the queue tells of its job."""
        data = tiding.data
        if tiding.type == "step":
            index, step, of = (int(str(data[name])) for name in ("index", "step", "steps"))
            self.steps[self.first + index] = (step, of)
            self.preview = tiding.preview or self.preview
        elif tiding.type == "made":
            self.made.add(self.first + int(str(data["index"])))
            self.preview = None
        elif tiding.type == "loading":
            self.said = f"Loading {data.get('model', '')}"
        elif tiding.type == "restarted":
            self.steps.clear()

    @property
    def current(self) -> tuple[int, int]:
        """(steps done, of how many) of the picture that is furthest on."""
        under_way = [steps for index, steps in self.steps.items() if index not in self.made]
        return max(under_way, default=(0, 0))

    @property
    def progress(self) -> float:
        """0.01 to 1."""
        done = len(self.made) + sum(
            step / max(of, 1) for index, (step, of) in self.steps.items() if index not in self.made
        )
        return min(max(done / max(self.n, 1), BEGUN), 1.0)

    @property
    def left(self) -> float:
        """Seconds until it is done, at its own pace so far."""
        passed = time.time() - self.began
        return passed / self.progress - passed


@dataclass
class Desk:
    """Of one server. ``tasks`` in the order in which they came."""

    options: Kept = field(default_factory=Kept)
    tasks: list[Task] = field(default_factory=list)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _counted: int = 0

    @contextlib.contextmanager
    def answering(self, what: What, n: int, name: str | None = None) -> Iterator[Task]:
        """A request is being answered inside."""
        self._counted += 1
        task = Task(what, n, name or f"task({what}-{self._counted})")
        self.tasks.append(task)
        try:
            yield task
        finally:
            self.tasks.remove(task)

    @property
    def task(self) -> Task | None:
        """The request that came first of those that are being answered: the web UI answers one at a time."""
        return self.tasks[0] if self.tasks else None


def desk(request: HTTPConnection) -> Desk:
    """The Desk of the server that answers ``request``; a dependency for routes."""
    state = request.app.state
    if not hasattr(state, "a1111"):
        state.a1111 = Desk()
    found = state.a1111
    assert isinstance(found, Desk)
    return found
