"""Going on where a run of prompts was stopped, picture by picture: by Ctrl-C, by a crash, by deleting some.

A line's first seed is kept before anything of it is drawn, and each picture as soon as it is stored. So a second run
plans the same pictures and draws those that are missing, with the Records they would have had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from limner.canonical import content_hash

if TYPE_CHECKING:
    from pathlib import Path

    from limner.session import Session
    from limner.types import Picture, Plan, Request


def run_id(path: Path) -> str:
    """The same for the same file, wherever one stands; its lines may change, each has its own id."""
    return content_hash(["prompts", str(path.resolve())])


@dataclass(frozen=True, slots=True)
class Run:
    """A file's run in the library. ``again``: nothing counts as drawn."""

    session: Session
    id: str
    again: bool = False

    def done(self) -> set[str]:
        """Ids of the items that are drawn whole."""
        return self.session.library.run_done(self.id) if self._counts() else set()

    def drawn(self, item: str) -> tuple[str | None, ...]:
        """The ids of an item's pictures by place, as far as they are drawn and still here."""
        found = self.session.library.run_item(self.id, item) if self._counts() else None
        return () if found is None else found.pictures

    def resume(self, item: str, request: Request) -> tuple[Plan, ...]:
        """Plans for what an item lacks. Raises what ``Session.plan`` raises, and then nothing is kept of it."""
        library = self.session.library
        known = library.run_item(self.id, item) if self._counts() else None
        if known is not None and known.seed is not None:
            # Not ``but``: that would set every field, and the user's own defaults fill those that are not.
            request = request.model_copy(update={"seed": known.seed})
        planned = self.session.plan(request)
        seeds = [(plan, k) for plan in planned for k in range(len(plan.seeds))]
        pictures: list[str | None] = [None] * len(seeds)
        if known is not None:
            pictures[: len(known.pictures)] = known.pictures[: len(seeds)]
            for place, (plan, k) in enumerate(seeds):
                # A crash may have come after the picture was stored and before it was noted.
                if pictures[place] is None and (found := library.find_by_key(plan.image_key(k))) is not None:
                    pictures[place] = found.id
        if self.session.keep:
            library.run_start(self.id, item, planned[0].request.seed or 0, pictures)
        return tuple(part for plan in planned for part in missing(plan, pictures))

    def add(self, item: str, place: int, picture: Picture) -> None:
        """A picture of an item is stored."""
        if picture.id is not None:
            self.session.library.run_add(self.id, item, place, picture.id)

    def _counts(self) -> bool:
        return self.session.keep and not self.again


def missing(plan: Plan, pictures: Sequence[str | None]) -> Iterator[Plan]:
    """The parts of a plan whose pictures are ``None``; neighbours stay in one plan."""
    for lacks, group in groupby(range(len(plan.seeds)), key=lambda k: pictures[plan.first + k] is None):
        if lacks:
            places = list(group)
            seeds = tuple(plan.seeds[k] for k in places)
            yield plan.model_copy(update={"seeds": seeds, "first": plan.first + places[0]})
