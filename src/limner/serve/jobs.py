"""What a server keeps of a piece of work: the Job, what was asked, what went wrong, and what is told meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pydantic import JsonValue

from limner.errors import InvalidRequest, LimnerError, Refused
from limner.types import Notice
from limner.types.base import Frozen

Kind = Literal["draw", "upscale", "refine", "compare", "score", "pull"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
OVER: frozenset[State] = frozenset({"done", "failed", "cancelled"})
Body: TypeAlias = Mapping[str, JsonValue]


class Trouble(Frozen):
    """Why a job failed, or was not accepted: an error of Limner's, as data. ``retry``: asking again may help."""

    code: str
    message: str
    hint: str = ""
    field: str | None = None
    category: str | None = None
    rule: str | None = None
    retry: bool = False

    @classmethod
    def of(cls, error: BaseException, *, retry: bool = False) -> Trouble:
        """An error as data. What is not one of Limner's is said to be a fault of its own."""
        if not isinstance(error, LimnerError):
            return cls(code="internal", message=f"{type(error).__name__}: {error}", hint="limner doctor", retry=retry)
        return cls(
            code=error.code,
            message=error.message,
            hint=error.hint,
            field=error.field if isinstance(error, InvalidRequest) else None,
            category=getattr(error, "category", None) if isinstance(error, Refused) else None,
            rule=getattr(error, "rule", None) if isinstance(error, Refused) else None,
            retry=retry,
        )


class Ask(Frozen):
    """What is asked of the queue. ``body`` is the kind's own JSON (of ``draw``: a Request); ``plans`` are those of a
    ``draw``, resolved when it was accepted, as JSON. ``client`` names the dialect. ``deadline``: seconds from now after
    which nobody wants the answer. ``key``: the client's idempotency key."""

    kind: Kind
    body: Body
    plans: tuple[Body, ...] = ()
    n: int = 1
    title: str = ""
    client: str = "native"
    deadline: float | None = None
    key: str | None = None
    previews: bool = True
    notices: tuple[Notice, ...] = ()


class Job(Frozen):
    """A piece of work in the queue. Times are seconds since the epoch; ``place`` counts from 1 among those waiting.

    ``pictures`` are ids in the library by index, ``None`` where that one is not made (yet)."""

    id: str
    kind: Kind
    state: State
    body: Body
    n: int
    title: str
    client: str
    attempts: int
    position: float
    created: float
    started: float | None = None
    ended: float | None = None
    deadline: float | None = None
    pictures: tuple[str | None, ...] = ()
    notices: tuple[Notice, ...] = ()
    result: Body | None = None
    error: Trouble | None = None
    place: int | None = None

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def made(self) -> tuple[str, ...]:
        """Ids of the pictures there are."""
        return tuple(each for each in self.pictures if each is not None)


TidingType = Literal[
    "queued",
    "moved",
    "started",
    "loading",
    "step",
    "made",
    "warned",
    "note",
    "restarted",
    "done",
    "failed",
    "cancelled",
]


@dataclass(frozen=True, slots=True)
class Tiding:
    """Something that happened to a job. ``seq`` grows over all jobs of a server's life.

    ``data`` by type: ``step`` {index, step, steps}, with ``preview`` (WebP bytes) at times; ``made`` {index, picture};
    ``warned`` {code, message}; ``loading`` {model, part}; ``note`` {text} (refine, compare, pull); ``failed`` a
    ``Trouble``; ``restarted`` {attempt}.
    """

    seq: int
    job: str
    type: TidingType
    data: Body = field(default_factory=dict)
    preview: bytes | None = None

    @property
    def last(self) -> bool:
        return self.type in OVER
