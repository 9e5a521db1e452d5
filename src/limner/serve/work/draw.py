"""Drawing: the Plans of the queue as they are, less the pictures that a former attempt made."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from limner.errors import Cancelled as CancelledError
from limner.serve.jobs import Body
from limner.serve.work.tell import Work
from limner.types import Cancelled, Failed, Loading, Made, Plan, Step, Warned

if TYPE_CHECKING:
    from limner.session import Session
    from limner.types import Pixels

PREVIEWS_A_SECOND = 5.0


def run(session: Session, work: Work) -> Body:
    """Draw. Raises what stopped it, after the pictures that were finished are told."""
    plans = tuple(missing([Plan.model_validate(each) for each in work.ask.plans], work.made))
    generation = session.run(plans, previews=work.ask.previews)
    work.on_stop(generation.cancel)
    pace = Pace(PREVIEWS_A_SECOND)
    for event in generation:
        match event:
            case Loading(model, part):
                work.tell("loading", model=model, part=part)
            case Step(index, step, steps, preview):
                shown = encoded(preview) if preview is not None and pace.now(index) else b""
                work.tell("step", shown, index=index, step=step, steps=steps)
            case Warned(notice, index):
                work.tell("warned", code=notice.code, message=notice.message, index=index)
            case Made(index, image):
                work.tell("made", index=index, picture=image.id, seconds=image.record.timings.get("total"))
            case Failed(error):
                raise error
            case Cancelled():
                raise CancelledError("the job was cancelled")
            case _:
                pass
    return {}


def missing(plans: Sequence[Plan], made: Mapping[int, str]) -> Iterator[Plan]:
    """The Plans of the pictures that are not made: each run of neighbours is one Plan."""
    for plan in plans:
        run: list[int] = []
        for k in range(len(plan.seeds) + 1):
            if k < len(plan.seeds) and plan.first + k not in made:
                run.append(k)
            elif run:
                part = {"seeds": plan.seeds[run[0] : run[-1] + 1], "first": plan.first + run[0]}
                yield plan.model_copy(update=part)
                run = []


class Pace:
    """At most so many previews a second for each picture; those between are dropped, the next is newer anyway."""

    def __init__(self, a_second: float) -> None:
        self._gap = 1.0 / a_second
        self._last: dict[int, float] = {}

    def now(self, index: int) -> bool:
        moment = time.monotonic()
        if moment - self._last.get(index, float("-inf")) < self._gap:
            return False
        self._last[index] = moment
        return True


def encoded(preview: Pixels) -> bytes:
    """A preview as a small WebP."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(preview).save(buffer, "WEBP", quality=70, method=0)
    return buffer.getvalue()
