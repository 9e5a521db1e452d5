"""The options that choose pictures, shared by ``gallery list`` and ``gallery export``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import click

from limner.cli.gallery_find import moment
from limner.cli.gallery_scores import WAYS, ByScore, bounds, by_score
from limner.errors import InvalidRequest
from limner.library.entries import Query, Sort
from limner.library.store import Library

Command = TypeVar("Command", bound=Callable[..., object])

SORTS: dict[str, tuple[Sort, bool]] = {
    "newest": ("created", True),
    "oldest": ("created", False),
    "rating": ("rating", True),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the options said; an option that was not given does not restrict."""

    search: str | None = None
    model: str | None = None
    rating: int | None = None
    since: str | None = None
    until: str | None = None
    min_score: tuple[str, ...] = ()
    max_score: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        plain = (self.search, self.model, self.rating, self.since, self.until)
        return any(value is not None for value in plain) or bool(self.min_score or self.max_score)

    def query(self, library: Library, *, sort: str = "newest", limit: int | None = None) -> Query:
        """Raises ``InvalidRequest`` for a time, an order or a score that is none."""
        scored = by_score(sort, library)
        order, descending = _order(sort, scored)
        return Query(
            text=_utf8(self.search or ""),
            model=None if self.model is None else model_name(_utf8(self.model)),
            rating=self.rating,
            since=None if self.since is None else moment(self.since, "since"),
            until=None if self.until is None else moment(self.until, "until", end=True),
            at_least=self._bounds(self.min_score, "min-score", scored, library),
            at_most=self._bounds(self.max_score, "max-score", scored, library),
            sort=order,
            scorer=scored.scorer if scored else None,
            descending=descending,
            limit=limit,
        )

    def _bounds(
        self, given: tuple[str, ...], option: str, scored: ByScore | None, library: Library
    ) -> tuple[tuple[str, float], ...]:
        return tuple(bounds(given, option, scored, library)) if given else ()


def _order(sort: str, scored: ByScore | None) -> tuple[Sort, bool]:
    if scored is not None:
        return "score", scored.descending
    if sort not in SORTS:
        raise InvalidRequest(f"sort: {sort!r} is not an order", field="sort", hint=f"one of {WAYS}")
    return SORTS[sort]


def choosing(command: Command) -> Command:
    """Add the options; the command takes them as ``search``, ``model``, ``rating``, ``since``, ``until``,
    ``min_score`` and ``max_score``."""
    options = (
        click.option("-s", "--search", metavar="TEXT", help="all these words in prompt, negative prompt or model"),
        click.option("-m", "--model", metavar="NAME", help="made by this model"),
        click.option("--rating", type=click.IntRange(1, 5), metavar="1-5", help="rated at least this"),
        click.option("--since", metavar="WHEN", help="a date, yesterday, or an age: 12h, 7d, 2w"),
        click.option("--until", metavar="WHEN", help="the same; a date counts to its end"),
        click.option("--min-score", multiple=True, metavar="[NAME:]VALUE", help="scored at least this by that scorer"),
        click.option("--max-score", multiple=True, metavar="[NAME:]VALUE", help="scored at most this"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _utf8(text: str) -> str:
    """Arguments may hold bytes that are no UTF-8; no prompt in the library does, so question marks find as little."""
    return text.encode("utf-8", "replace").decode()


def model_name(name: str) -> str:
    """A model's name as Records have it: an alias is followed, any other name is taken as it stands."""
    from limner.models.catalog import Catalog

    card = Catalog.load().find(name)
    return name if card is None else card.name
