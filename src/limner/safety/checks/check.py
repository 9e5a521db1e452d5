"""The protocol of an image check: what it looks for, how far it may be believed, and how it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol, runtime_checkable

from limner.types import Frozen, Pixels

Category = Literal["sexual", "sexual_minors", "violence_graphic", "dangerous"]
Verdict = Literal["clear", "possible", "likely"]
NEVER = "never verified here"


class Finding(Frozen):
    """What a checker says of one picture in one category. ``likely`` is the publisher's own threshold, ``possible``
    a lower one of ours. ``score`` is on the card's scale, higher meaning more of it."""

    checker: str
    revision: str
    category: Category
    verdict: Verdict
    score: float


class CheckCard(Frozen):
    """What is known of a checker before it is run.

    ``categories`` is what it looks for, ``scale`` what its scores are. ``reported`` are its publisher's own figures and
    nothing that was measured here; ``limits`` says what it is known to miss. ``revision`` changes whenever a score
    could. ``repo`` at ``commit`` is where its weights are. ``by_itself`` is whether it is used without being named.
    """

    name: str
    title: str
    revision: str
    categories: tuple[Category, ...]
    scale: str
    source: str
    domain: str
    reported: str
    limits: str
    licence: str
    restrictions: str = ""
    gated: bool = False
    repo: str | None = None
    commit: str | None = None
    size_bytes: int | None = None
    memory_bytes: int | None = None
    by_itself: bool = True
    verified: str = NEVER


@runtime_checkable
class Check(Protocol):
    """One checker. Its weights are loaded at the first picture and stay until it is let go."""

    card: ClassVar[CheckCard]

    def missing(self) -> str | None:
        """The command that fetches what it lacks; ``None`` where it can run. Reads no weights, asks no network."""
        ...

    def check(self, pixels: Pixels) -> Sequence[Finding]:
        """One Finding for each of the card's categories; the picture is never changed. Calls torch.

        Raises ``NonFinite`` where the network answers no number, ``ModelError``, ``OutOfMemory``.
        """
        ...
