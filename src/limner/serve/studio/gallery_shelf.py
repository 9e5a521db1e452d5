"""What the gallery's page shows: months, the stretches of each, and the tiles of the first. Asks the disk."""

from __future__ import annotations

from calendar import month_name
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from limner.library.browse import Stretch, Tile, key
from limner.library.choosing import Choice
from limner.library.entries import Query
from limner.serve.shell import Shell
from limner.serve.studio import gallery_words
from limner.serve.studio.gallery_words import Culprit, Filter, Option


@dataclass(frozen=True, slots=True)
class Group:
    """A stretch on the page: its number of pictures, where its tiles are asked for, the page that begins with it, and
    the tiles where they are on the page from the start."""

    count: int
    src: str
    page: str
    tiles: Sequence[Tile] | None = None


@dataclass(frozen=True, slots=True)
class Month:
    """``name`` is ``"2026-11"``; empty where pictures are not sorted by age."""

    name: str
    title: str
    short: str
    count: int
    groups: Sequence[Group]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The page. ``newest`` is the key of the newest picture that is shown; ``total`` of all that is found."""

    months: Sequence[Month]
    total: int
    of: int
    newest: str
    filters: Sequence[Filter]
    culprits: Sequence[Culprit]
    menus: Sequence[tuple[str, Sequence[Option]]]


def shelf(inside: Shell, text: str, first: str = "", offset: int = 0) -> Shelf:
    """``first`` or ``offset`` names the stretch whose tiles come with the page. Raises ``InvalidRequest``."""
    library = inside.service.session.library
    choice, query = gallery_words.read(text, library)
    stretches = library.browse.stretches(query)
    found = [each for each in stretches if (key(each.first) == first if first else each.offset == offset)]
    begin = next(iter(found or stretches), None)
    shown = None if begin is None else _unhidden(inside, library.browse.tiles(query, begin))
    total = sum(each.count for each in stretches)
    newest = library.browse.tiles(Query(limit=1))
    years = sorted({each.month[:4] for each in stretches if each.month}, reverse=True)
    return Shelf(
        months=_months(text, stretches, begin, shown),
        total=total,
        of=library.count() if choice else total,
        newest=key((newest[0].created, newest[0].id)) if newest else "",
        filters=list(gallery_words.filters(choice)),
        culprits=[] if stretches else gallery_words.culprits(choice, library),
        menus=_menus(choice, inside, years),
    )


def tiles(inside: Shell, text: str, stretch: Stretch) -> list[Tile]:
    """The tiles of a stretch, less those that are being deleted. Raises ``InvalidRequest``."""
    library = inside.service.session.library
    _, query = gallery_words.read(text, library)
    return _unhidden(inside, library.browse.tiles(query, stretch))


def _unhidden(inside: Shell, found: Sequence[Tile]) -> list[Tile]:
    hidden = inside.doomed.ids
    return [each for each in found if each.id not in hidden]


def _menus(choice: Choice, inside: Shell, years: Sequence[str]) -> list[tuple[str, Sequence[Option]]]:
    library = inside.service.session.library
    scorers = library.scorers()
    menus: list[tuple[str, Sequence[Option]]] = [
        ("Model", gallery_words.models(choice, library.browse.models())),
        ("Rating", gallery_words.ratings(choice)),
        ("Score", gallery_words.scores(choice, library, scorers)),
        ("Date", gallery_words.dates(choice, years)),
        ("Order", gallery_words.orders(choice, scorers)),
    ]
    return menus if scorers else [each for each in menus if each[0] != "Score"]


def _months(
    text: str, stretches: Sequence[Stretch], begin: Stretch | None, shown: Sequence[Tile] | None
) -> list[Month]:
    by_month: dict[str, list[Stretch]] = {}
    for each in stretches:
        by_month.setdefault(each.month, []).append(each)
    return [
        Month(
            name,
            _title(name),
            _title(name)[:3],
            sum(each.count for each in parts),
            [_group(text, each, shown if each is begin else None) for each in parts],
        )
        for name, parts in by_month.items()
    ]


def _group(text: str, stretch: Stretch, shown: Sequence[Tile] | None) -> Group:
    where = (
        {"from": key(stretch.first), "to": key(stretch.last)}
        if stretch.month
        else {"offset": str(stretch.offset), "count": str(stretch.count)}
    )
    said = urlencode({"q": text, **where} if text else where)
    return Group(stretch.count, f"/ui/gallery?{said}", f"/gallery?{said}", shown)


def _title(name: str) -> str:
    """``"2026-11"`` as ``"November 2026"``; what is no month as it stands."""
    good = len(name) == 7 and name[5:].isdigit() and 1 <= int(name[5:]) <= 12
    return f"{month_name[int(name[5:])]} {name[:4]}" if good else name
