"""What the gallery's search box says, and how its filters change that: every filter is a link to other words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from limner.errors import InvalidRequest, LimnerError
from limner.evaluate.defaults import higher_is_better
from limner.library.choosing import Choice
from limner.library.entries import Query
from limner.library.store import Library

SHOWN_MODELS = 12
SHOWN_SCORERS = 6
DATES = (("Today", "today"), ("Last 7 days", "7d"), ("Last 30 days", "30d"))


@dataclass(frozen=True, slots=True)
class Option:
    """An entry of a filter's menu: where it leads, and whether it holds now."""

    words: str
    url: str
    on: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that holds: its words, and the gallery without it."""

    words: str
    url: str


@dataclass(frozen=True, slots=True)
class Culprit:
    """A filter of a search that found nothing: without it ``count`` pictures would be found."""

    words: str
    url: str
    count: int


def address(text: str) -> str:
    """The gallery with these words in its box."""
    return f"/gallery?{urlencode({'q': text})}" if text else "/gallery"


def query_of(choice: Choice, library: Library) -> Query:
    """Asks the disk. Raises ``InvalidRequest``, ``UnknownName``."""
    return choice.query(library, higher_is_better)


def read(text: str, library: Library) -> tuple[Choice, Query]:
    """What a box says. Errors say what is wrong with the words, not with an option. Asks the disk."""
    try:
        choice = Choice.of(text)
        return choice, query_of(choice, library)
    except InvalidRequest as error:
        bare = error.message.removeprefix("--")
        raise InvalidRequest(bare, field=error.field, hint=error.hint) from None


def filters(choice: Choice) -> Iterator[Filter]:
    """Those that hold, words apart: they stand in the box."""
    for words, without in _parts(choice):
        if without.search == choice.search:
            yield Filter(words, address(without.text()))


def culprits(choice: Choice, library: Library) -> Sequence[Culprit]:
    """Of a search that found nothing, what each of its parts took away, the most first."""
    found = []
    for words, without in _parts(choice):
        try:
            count = library.count(query_of(without, library))
        except LimnerError:
            continue  # another part is at fault, and has said so
        found.append(Culprit(words, address(without.text()), count))
    return sorted((each for each in found if each.count), key=lambda each: -each.count)


def models(choice: Choice, known: Sequence[tuple[str, int]]) -> list[Option]:
    return [
        Option("Any model", address(replace(choice, model=None).text()), choice.model is None),
        *(
            Option(f"{name} ({count:,})", address(replace(choice, model=name).text()), choice.model == name)
            for name, count in known[:SHOWN_MODELS]
        ),
    ]


def ratings(choice: Choice) -> list[Option]:
    return [
        Option("Any rating", address(replace(choice, rating=None).text()), choice.rating is None),
        *(
            Option(
                f"{stars} of 5 or more" if stars < 5 else "5 of 5",
                address(replace(choice, rating=stars).text()),
                choice.rating == stars,
            )
            for stars in (5, 4, 3, 2, 1)
        ),
    ]


def scores(choice: Choice, library: Library, scorers: Sequence[str]) -> list[Option]:
    """The better half and the best tenth, by each scorer."""
    bare = replace(choice, min_score=(), max_score=())
    found = [Option("Any score", address(bare.text()), bare == choice)]
    for scorer in scorers[:SHOWN_SCORERS]:
        higher = higher_is_better(scorer)
        for words, share in (("better half", 0.5), ("best tenth", 0.1)):
            value = library.browse.reached(scorer, share if higher else 1 - share)
            if value is None:
                continue
            bound = f"{scorer}:{value:.4g}"
            wanted = replace(bare, min_score=(bound,)) if higher else replace(bare, max_score=(bound,))
            said = f"{scorer}, {words} ({'over' if higher else 'under'} {value:.4g})"
            found.append(Option(said, address(wanted.text()), wanted == choice))
    return found


def dates(choice: Choice, years: Sequence[str]) -> list[Option]:
    now = (choice.since, choice.until)
    wanted: list[tuple[str, str | None, str | None]] = [("Any time", None, None)]
    wanted += [(words, since, None) for words, since in DATES]
    wanted += [(year, f"{year}-01", f"{year}-12") for year in years[:6]]
    return [
        Option(words, address(replace(choice, since=since, until=until).text()), now == (since, until))
        for words, since, until in wanted
    ]


def orders(choice: Choice, scorers: Sequence[str]) -> list[Option]:
    """By age, rating, or what a scorer says."""
    wanted = [("Newest first", None), ("Oldest first", "oldest"), ("Best rated first", "rating")]
    for name in scorers[:8]:
        wanted += [(f"Best by {name}", f"score:{name}"), (f"Worst by {name}", f"worst:{name}")]
    return [Option(words, address(replace(choice, sort=sort).text()), choice.sort == sort) for words, sort in wanted]


def _parts(choice: Choice) -> Iterator[tuple[str, Choice]]:
    """Each part of a choice in words, and the choice without it."""
    if choice.search is not None:
        yield f"“{choice.search}”", replace(choice, search=None)
    for name in ("model", "seed", "source"):
        value = getattr(choice, name)
        if value is not None:
            yield f"{name}: {value}", _but(choice, name)
    if choice.rating is not None:
        yield f"rated {choice.rating}" + (" or more" if choice.rating < 5 else ""), replace(choice, rating=None)
    if choice.since is not None or choice.until is not None:
        yield _times(choice), replace(choice, since=None, until=None)
    for name, sign in (("min_score", ">"), ("max_score", "<")):
        for bound in getattr(choice, name):
            scorer, _, value = bound.rpartition(":")
            left = tuple(each for each in getattr(choice, name) if each != bound)
            yield f"{scorer or 'score'} {sign} {value}", _but(choice, name, left)


def _but(choice: Choice, name: str, value: object = None) -> Choice:
    return replace(choice, **{name: value})  # type: ignore[arg-type]


def _times(choice: Choice) -> str:
    if choice.since == choice.until:
        return f"of {choice.since}"
    since = "" if choice.since is None else f"since {choice.since}"
    until = "" if choice.until is None else f"until {choice.until}"
    return " ".join(part for part in (since, until) if part)
