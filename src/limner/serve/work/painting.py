"""Drawing for a job that is more than a drawing: every picture is told, and it stops where the job should."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from limner.errors import Cancelled as CancelledError
from limner.image import Image
from limner.serve.work.draw import portions
from limner.serve.work.tell import Work
from limner.types import Cancelled, Failed, Loading, Made, Notice, Plan, Step, Warned

if TYPE_CHECKING:
    from limner.session import Session
    from limner.session.generation import Generation


class Painter:
    """Draws Plans to the end, a few pictures at a time: others who share the engine do not wait for all of them.

    ``total`` pictures are foreseen, ``done`` of which a former attempt made; ``about`` is told with each. ``before`` is
    called between portions. ``steps``: tell of steps too.
    """

    def __init__(
        self,
        session: Session,
        work: Work,
        *,
        total: int,
        done: int = 0,
        steps: bool = False,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._session, self._work, self._steps, self._before = session, work, steps, before
        self.total, self.done = total, done
        self.phase = "drawing"
        self._place = 1 + max(work.made, default=-1)
        self._began = time.monotonic()
        self._first = done
        self._generation: Generation | None = None
        self._said: set[tuple[str, str]] = {(each.code, each.message) for each in work.ask.notices}
        work.on_stop(self._stop)

    def __call__(self, plans: Sequence[Plan]) -> list[Image]:
        """The pictures, in order. Raises ``Cancelled``, and what drawing raises."""
        made: list[Image] = []
        for plan in portions(iter(plans)):
            self._before()
            made += self._drawn(plan)
        return made

    def note(self, text: str) -> None:
        """A line for people, with how far it came."""
        self._work.tell("note", text=text, done=self.done, total=self.total, seconds=self.left)

    @property
    def left(self) -> float | None:
        """Seconds that the rest may take, by the pace so far; ``None`` where there is none yet."""
        drawn = self.done - self._first
        return (time.monotonic() - self._began) / drawn * max(0, self.total - self.done) if drawn else None

    def _drawn(self, plan: Plan) -> list[Image]:
        self._work.check()
        generation = self._generation = self._session.run([plan])
        if self._work.stopping:  # between the look and the drawing
            generation.cancel()
        made: dict[int, Image] = {}
        for event in generation:
            match event:
                case Loading(model, part):
                    self._work.tell("loading", model=model, part=part)
                case Step(_, step, steps, _):
                    if self._steps:
                        self._work.tell("step", index=self._place, step=step, steps=steps)
                case Made(index, Image() as image):
                    made[index] = image
                    self._made(image)
                case Warned(notice):
                    self.warn(notice)
                case Failed(error):
                    raise error
                case Cancelled():
                    raise CancelledError("the job was stopped", hint="what is made is kept")
                case _:
                    pass
        return [made[index] for index in sorted(made)]

    def _made(self, image: Image) -> None:
        self._work.tell("made", index=self._place, picture=image.id, seconds=image.record.timings.get("total"))
        self._place += 1
        self.done += 1
        self.note(f"{self.phase}: {self.done} of {self.total} pictures")

    def warn(self, notice: Notice) -> None:
        """Once for each thing: a hundred pictures of a prompt have a hundred times the same notice."""
        if (notice.code, notice.message) not in self._said:
            self._said.add((notice.code, notice.message))
            self._work.tell("warned", code=notice.code, message=notice.message)

    def _stop(self) -> None:
        if self._generation is not None:
            self._generation.cancel()
