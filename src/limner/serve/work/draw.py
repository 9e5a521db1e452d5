"""Drawing: the Plans of the queue as they are, less the pictures that a former attempt made, a few at a time.

The engine serves whoever came first. A job of two hundred pictures that asked for all of them at once would be before
everybody who comes after; so it asks for a few, and for more when those are drawn. Two such lanes keep the engine busy
while the pictures of one are being stored.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from limner.errors import Cancelled as CancelledError
from limner.errors import GenerationError, Refused
from limner.serve.jobs import Body
from limner.serve.work.tell import Work
from limner.types import Cancelled, Failed, Loading, Made, Plan, Step, Warned

if TYPE_CHECKING:
    from limner.session import Session
    from limner.types import Pixels

TURN = 10.0  # seconds of drawing that a job asks for at once
MOST = 8
LANES = 2


def run(session: Session, work: Work) -> Body:
    """Draw. Raises what stopped it, after the pictures that were finished are told."""
    plans = list(portions(missing([Plan.model_validate(each) for each in work.ask.plans], work.made)))
    lanes = [Lane(session, work, part) for part in (plans[k::LANES] for k in range(LANES)) if part]
    for lane in lanes:
        lane.others = [other for other in lanes if other is not lane]
    threads = [threading.Thread(target=lane.draw, name=f"limner-lane-{work.job}", daemon=True) for lane in lanes[1:]]
    for thread in threads:
        thread.start()
    for lane in lanes[:1]:
        lane.draw()
    for thread in threads:
        thread.join()
    errors = [lane.error for lane in lanes if lane.error is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, CancelledError)):
        raise error  # a lane that was only told to stop says less than the one that failed
    return {}


class Lane:
    """Some of a job's Plans, one after another."""

    def __init__(self, session: Session, work: Work, plans: Sequence[Plan]) -> None:
        self._work = work
        self._generation = session.run(plans, previews=work.ask.previews)
        self._glance = getattr(session._backend, "glance", None)
        self._known = {(notice.code, notice.message) for notice in work.ask.notices}
        self.others: Sequence[Lane] = ()
        self.error: BaseException | None = None
        work.on_stop(self._generation.cancel)

    def draw(self) -> None:
        """To the end; ``error`` is what stopped it, or spoilt some of its pictures."""
        try:
            self._draw()
        except BaseException as error:
            self.error = error
            if not isinstance(error, GenerationError | Refused):  # those are of one picture's words
                for other in self.others:
                    other._generation.cancel()

    def _draw(self) -> None:
        tell = self._work.tell
        for event in self._generation:
            match event:
                case Loading(model, part):
                    tell("loading", model=model, part=part)
                case Step(index, step, steps, preview):
                    tell("step", b"" if preview is None else encoded(preview), index=index, step=step, steps=steps)
                    if self._glance is not None:
                        self._glance()
                case Warned(notice, index):
                    if (notice.code, notice.message) not in self._known:  # those were told when it was accepted
                        tell("warned", code=notice.code, message=notice.message, index=index)
                case Made(index, image):
                    tell("made", index=index, picture=image.id, seconds=image.record.timings.get("total"))
                case Failed(error):
                    raise error
                case Cancelled():
                    raise CancelledError("the job was cancelled")
                case _:
                    pass


def missing(plans: Sequence[Plan], made: Mapping[int, str]) -> Iterator[Plan]:
    """The Plans of the pictures that are not made: each run of neighbours is one Plan."""
    for plan in plans:
        run: list[int] = []
        for k in range(len(plan.seeds) + 1):
            if k < len(plan.seeds) and plan.first + k not in made:
                run.append(k)
            elif run:
                yield _part(plan, run[0], run[-1] + 1)
                run = []


def portions(plans: Iterator[Plan]) -> Iterator[Plan]:
    """The same in Plans of a few pictures: so many that drawing them takes a few seconds, by the Plan's estimate."""
    for plan in plans:
        seconds = plan.estimate.seconds_per_image or TURN
        size = min(max(int(TURN / seconds), 1), MOST)
        for k in range(0, len(plan.seeds), size):
            yield _part(plan, k, min(k + size, len(plan.seeds)))


def _part(plan: Plan, start: int, stop: int) -> Plan:
    if (start, stop) == (0, len(plan.seeds)):
        return plan
    return plan.model_copy(update={"seeds": plan.seeds[start:stop], "first": plan.first + start})


def encoded(preview: Pixels) -> bytes:
    """A preview as a small WebP."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(preview).save(buffer, "WEBP", quality=70, method=0)
    return buffer.getvalue()
