"""A job: one image being made. The only mutable type; its course asks and is answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from limner.engine.scheduler import Waiting
from limner.errors import Cancelled, GenerationError, LimnerError
from limner.sampling.course import Call, Course, Eval, Note, Show
from limner.types import Notice

if TYPE_CHECKING:
    from torch import Tensor

Answer: TypeAlias = "Tensor | LimnerError"


@dataclass(eq=False, slots=True)
class Job:
    """``alone`` jobs never share a model call. ``order`` is the order of arrival.

    ``pending`` is what the course waits for; ``answers`` fills up row by row until the Eval is whole. ``stopped`` tells
    whether somebody wants it to end while the engine is inside a Call, where nobody can reach ``cancelled``.
    ``threads`` is how many it is drawn with (``None``: torch's own number); rows share calls with those of as many.
    """

    id: str
    order: int
    course: Course
    alone: bool
    on_show: Callable[[Job, Show], None]
    on_note: Callable[[Job, Notice], None]
    stopped: Callable[[], bool] = lambda: False
    threads: int | None = None
    pending: Eval | Call | None = None
    answers: list[Answer | None] = field(default_factory=list)
    buckets: list[Hashable] = field(default_factory=list)
    picture: Tensor | None = None
    error: BaseException | None = None
    cancelled: bool = False
    peak: int | None = None
    notices: list[Notice] = field(default_factory=list)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def finished(self) -> bool:
        return self.picture is not None or self.error is not None

    def start(self) -> None:
        """Run the course up to its first question."""
        self._drive(None)

    def waiting(self) -> list[Waiting]:
        """The rows of the pending Eval that have no answer yet, as the scheduler sees them."""
        if not isinstance(self.pending, Eval):
            return []
        return [
            Waiting(self.id, self.order, i, self.buckets[i], row.cost, self.alone)
            for i, row in enumerate(self.pending.rows)
            if self.answers[i] is None
        ]

    def answer(self, position: int, answer: Answer) -> None:
        """Give one row's answer; when the Eval is whole the course goes on. An error is thrown into the course, which
        may fall back (a float32 decode) or let it end the job."""
        self.answers[position] = answer
        if all(a is not None for a in self.answers):
            self._drive(self.answers)

    def tick(self, said: Show | Note | None = None, /) -> None:
        """Between the pieces of a Call: tell what was said. Raises ``Cancelled`` when the job is to end."""
        self.cancelled = self.cancelled or self.stopped()
        if self.cancelled:
            raise Cancelled("cancelled")
        if said is not None:
            self._tell(said)

    def note(self, code: str, message: str) -> None:
        """Record something; a repeated message counts once."""
        notice = Notice(code=code, message=message)
        if notice not in self.notices:
            self.notices.append(notice)
            self.on_note(self, notice)

    def used(self, peak: int | None) -> None:
        """Bytes in use at the worst moment of a call; the largest of all its calls is kept."""
        if peak is not None:
            self.peak = max(self.peak or 0, peak)

    def fail(self, error: BaseException) -> None:
        self.error = error
        self.pending = None
        self.course.close()

    def _drive(self, answers: list[Answer | None] | None) -> None:
        try:
            ask = self._send(answers)
            while True:
                if not isinstance(ask, Show | Note):
                    self._ask(ask)
                    return
                self._tell(ask)
                ask = self.course.send(())
        except StopIteration as stop:
            self.picture = stop.value
            self.pending = None
        except LimnerError as error:
            self.fail(error)
        except Exception as error:
            wrapped = GenerationError(
                f"the picture could not be made: {type(error).__name__}: {error}",
                hint="this is a fault in Limner; please report it with the command you ran",
            )
            wrapped.__cause__ = error
            self.fail(wrapped)

    def _tell(self, said: Show | Note) -> None:
        if isinstance(said, Show):
            self.on_show(self, said)
        else:
            self.note(said.code, said.message)

    def _send(self, answers: list[Answer | None] | None) -> Eval | Call | Show | Note:
        if answers is None:
            return next(self.course)
        for answer in answers:
            if isinstance(answer, LimnerError):
                return self.course.throw(answer)
        return self.course.send(tuple(a for a in answers if a is not None and not isinstance(a, LimnerError)))

    def _ask(self, ask: Eval | Call) -> None:
        self.pending = ask
        self.answers = [None] * (len(ask.rows) if isinstance(ask, Eval) else 1)
        self.buckets = [(self.threads, row.bucket()) for row in ask.rows] if isinstance(ask, Eval) else []
