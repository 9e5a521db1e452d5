"""Which pictures a person means: by options on a command line, or by terms in a search box.

A search box holds words, and terms: ``fox in snow rating:4 model:sdxl score:pocket-clip>0.3 since:7d sort:oldest``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

from limner.errors import InvalidRequest, UnknownName
from limner.library.entries import Query, Sort
from limner.library.moments import moment
from limner.library.store import Library

SORTS: dict[str, tuple[Sort, bool]] = {
    "newest": ("created", True),
    "oldest": ("created", False),
    "rating": ("rating", True),
}
BEST, WORST = "score", "worst"
WAYS = "newest, oldest, rating, score:NAME (best first) or worst:NAME"
Better = Callable[[str], bool]
"""Whether a scorer's higher values are the better ones."""
TERMS = ("model", "rating", "since", "until", "date", "seed", "source", "sort", "score")
HINT = "rating:4 model:NAME score:NAME>0.3 since:7d until:2026-11-01 date:2026-11 seed:41 sort:rating"
_TERM = re.compile(rf"(?<!\S)({'|'.join(TERMS)}):(\"[^\"]*\"|\S+)", re.IGNORECASE)
_SCORE = re.compile(r"(?:([\w.-]+))?(<=|>=|<|>)(.+)")


class ByScore(NamedTuple):
    """An order by a scorer's values."""

    scorer: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """What was said; what was not does not restrict. ``min_score`` and ``max_score``: ``NAME:VALUE`` or ``VALUE``."""

    search: str | None = None
    model: str | None = None
    rating: int | None = None
    since: str | None = None
    until: str | None = None
    min_score: tuple[str, ...] = ()
    max_score: tuple[str, ...] = ()
    seed: int | None = None
    source: str | None = None
    sort: str | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) not in (None, ()) for each in fields(self) if each.name != "sort")

    @staticmethod
    def of(text: str) -> Choice:
        """A search box's words and terms. Raises ``InvalidRequest`` for a term that says nothing."""
        said = Choice()
        for match in _TERM.finditer(text):
            said = _with(said, match[1].lower(), match[2].strip('"'))
        words = " ".join(_TERM.sub(" ", text).split())
        return replace(said, search=words or None)

    def read(self) -> Choice:
        """With the terms among the words, where nothing else was said of the same. Raises ``InvalidRequest``."""
        said = Choice.of(self.search or "")
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "search"}
        return replace(said, **{name: value for name, value in given.items() if value not in (None, ())})

    def text(self) -> str:
        """The same as a search box holds it."""
        parts = [] if self.search is None else [self.search]
        for name in ("model", "rating", "since", "until", "seed", "source", "sort"):
            value = getattr(self, name)
            if value is not None:
                parts.append(f"{name}:{_quoted(str(value))}")
        for sign, bounds_ in ((">", self.min_score), ("<", self.max_score)):
            for each in bounds_:
                scorer, _, value = each.rpartition(":")
                parts.append(f"score:{scorer}{sign}{value}")
        return " ".join(parts)

    def query(self, library: Library, better: Better, *, sort: str | None = None, limit: int | None = None) -> Query:
        """``better`` says of a scorer whether higher is. Raises ``InvalidRequest`` for a time, an order or a score that
        is none."""
        wanted = sort or self.sort or "newest"
        scored = by_score(wanted, library, better)
        order, descending = _order(wanted, scored)
        return Query(
            text=_utf8(self.search or ""),
            model=None if self.model is None else model_name(_utf8(self.model)),
            rating=self.rating,
            since=None if self.since is None else moment(self.since, "since"),
            until=None if self.until is None else moment(self.until, "until", end=True),
            seed=self.seed,
            source=None if self.source is None else _utf8(self.source),
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


def by_score(sort: str, library: Library, better: Better) -> ByScore | None:
    """What ``score``, ``score:NAME`` and ``worst:NAME`` mean; ``None`` for another word. Raises ``InvalidRequest``."""
    way, _, name = sort.partition(":")
    if way not in (BEST, WORST):
        return None
    scorer = one_scorer(name, library, "sort")
    return ByScore(scorer, (way == BEST) == better(scorer))


def bounds(
    given: Iterable[str], option: str, sorted_by: ByScore | None, library: Library
) -> Sequence[tuple[str, float]]:
    """``NAME:VALUE``, or ``VALUE`` of the scorer that is sorted by, or of the only one there is. Raises
    ``InvalidRequest``."""
    found = []
    for text in given:
        name, _, value = text.rpartition(":")
        scorer = sorted_by.scorer if sorted_by and not name else one_scorer(name, library, option)
        found.append((scorer, _number(value, option)))
    return found


def one_scorer(name: str, library: Library, option: str) -> str:
    """The scorer that is named; the only one whose scores are here, where none is. Raises ``InvalidRequest``,
    ``UnknownName``."""
    known = library.scorers()
    if name in known:
        return name
    if not known:
        raise InvalidRequest(
            f"--{option}: no picture has a score yet", field=option, hint="limner score ID... gives scores"
        )
    if name:
        raise UnknownName("scorer with scores here", name, known, field=option)
    if len(known) > 1:
        raise InvalidRequest(f"--{option}: by which scorer", field=option, hint=f"name one: {', '.join(known)}")
    return known[0]


def model_name(name: str) -> str:
    """A model's name as Records have it: an alias is followed, any other name is taken as it stands."""
    from limner.models.catalog import Catalog

    card = Catalog.load().find(name)
    return name if card is None else card.name


def _with(said: Choice, name: str, value: str) -> Choice:
    match name:
        case "rating" | "seed":
            return replace(said, **{name: _whole(name, value)})  # type: ignore[arg-type]
        case "date":
            return replace(said, since=value, until=value)
        case "score":
            return _scored(said, value)
        case _:
            return replace(said, **{name: value})  # type: ignore[arg-type]


def _scored(said: Choice, value: str) -> Choice:
    """``NAME>0.3``, ``NAME<0.3``, ``>0.3``; a bound itself counts."""
    match = _SCORE.fullmatch(value)
    if match is None:
        raise InvalidRequest(f"score:{value} is no bound", field="score", hint="for example score:pocket-clip>0.3")
    bound = f"{match[1] or ''}:{match[3]}".removeprefix(":")
    if match[2].startswith(">"):
        return replace(said, min_score=(*said.min_score, bound))
    return replace(said, max_score=(*said.max_score, bound))


def _whole(name: str, value: str) -> int:
    good = value.isascii() and value.isdigit() and len(value) < 19
    if not good or (name == "rating" and value not in "12345"):
        wanted = "1 to 5" if name == "rating" else "a whole number"
        raise InvalidRequest(f"{name}:{value} is not {wanted}", field=name, hint=HINT)
    return int(value)


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r"\s", value) else value


def _order(sort: str, scored: ByScore | None) -> tuple[Sort, bool]:
    if scored is not None:
        return "score", scored.descending
    if sort not in SORTS:
        raise InvalidRequest(f"sort: {sort!r} is not an order", field="sort", hint=f"one of {WAYS}")
    return SORTS[sort]


def _number(text: str, option: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidRequest(
            f"--{option}: {text!r} is not a number", field=option, hint=f"for example: --{option} pocket-clip:0.5"
        )
    return value


def _utf8(text: str) -> str:
    """Arguments may hold bytes that are no UTF-8; no prompt in the library does, so question marks find as little."""
    return text.encode("utf-8", "replace").decode()
