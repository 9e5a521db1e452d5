"""Everything that the image page shows of a picture. Asks the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from limner.errors import InvalidRequest, PictureNotFound
from limner.evaluate.defaults import card_of
from limner.evaluate.words import plain_words, text_hash
from limner.inspecting import record as recorded
from limner.inspecting.facts import Fact, when
from limner.library.entries import Entry, Query
from limner.models.upscaling.family import NAME as UPSCALING
from limner.serve.native.pictures import PictureView, get
from limner.serve.shell import Shell
from limner.serve.studio import gallery_words
from limner.serve.studio.lineage import Kin, family, reason
from limner.types import Record, Score


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """A score in words: ``value``, on which scale, and what weakens it."""

    scorer: str
    value: str
    about: str


@dataclass(frozen=True, slots=True)
class View:
    """The page. ``before`` and ``after`` are neighbours' addresses, ``place`` is its number of ``total`` in the search
    ``q``. ``other`` is the picture beside it, with what of their settings differs. ``drawable``: Limner drew it and can
    draw more of it."""

    picture: PictureView
    q: str
    before: str | None
    after: str | None
    place: int | None
    total: int
    origin: str
    settings: Sequence[Fact]
    recorded: Sequence[tuple[str, Sequence[Fact]]]
    scores: Sequence[ScoreLine]
    lineage: Kin | None
    other: PictureView | None
    differences: Sequence[tuple[str, str, str]]
    drawable: bool
    parent: str | None


def view(inside: Shell, id: str, q: str = "", beside: str | None = None) -> View:
    """Raises ``PictureNotFound``."""
    library = inside.service.session.library
    entry = get(inside, id)
    query = _query(inside, q)
    before, after = library.browse.beside(query, (entry.created, entry.id), inside.doomed.ids)
    parent = _there(inside, entry.parent)
    other = _there(inside, beside)
    return View(
        picture=PictureView.of(entry),
        q=q,
        before=_address(before, q),
        after=_address(after, q),
        place=library.browse.newer(query, (entry.created, entry.id)) + 1 if query.sort == "created" else None,
        total=library.count(query),
        origin=reason(entry, parent),
        settings=list(facts(entry)),
        recorded=_recorded(entry.record),
        scores=[_line(each, entry) for each in library.scores(entry.id)],
        lineage=family(library, entry.id, inside.doomed.ids),
        other=None if other is None else PictureView.of(other),
        differences=[] if other is None else list(_differences(other, entry)),
        drawable=entry.record is not None and entry.record.recipe.family != UPSCALING,
        parent=None if parent is None else parent.id,
    )


def facts(entry: Entry) -> Iterator[Fact]:
    """The settings that people look for first."""
    record = entry.record
    if record is None:
        yield from _filled(entry.fields.items())
        return
    request, recipe = record.request, record.recipe
    steps = max(len(recipe.levels) - 1, 0) or request.steps
    yield from _filled(
        (
            ("model", record.model.name),
            ("seed", record.seed.text()),
            ("size", f"{entry.width} × {entry.height}"),
            ("steps", steps),
            ("guidance", f"{recipe.guidance:g}"),
            ("solver", recipe.solver),
            ("negative", record.negative),
            ("strength", None if request.init is None or request.strength is None else f"{request.strength:g}"),
            ("variation", f"{request.variation:g} new noise" if request.variation else None),
            ("adapters", ", ".join(f"{each.name} {each.scale:g}" for each in record.adapters if each.kind == "lora")),
            ("enlarged by", request.upscale),
            ("made", when(record.created)),
            ("took", f"{record.timings['total']:.1f} s" if "total" in record.timings else None),
        )
    )


def _filled(found: Iterable[Fact]) -> Iterator[Fact]:
    return ((label, value) for label, value in found if value not in (None, ""))


def _recorded(record: Record | None) -> list[tuple[str, Sequence[Fact]]]:
    if record is None:
        return []
    parts = (
        ("Asked", recorded.words),
        ("Drawn", recorded.making),
        ("Planned and actual", recorded.compared),
        ("Record", recorded.birth),
    )
    return [(title, found) for title, said in parts if (found := list(_filled(said(record))))]


def _line(score: Score, entry: Entry) -> ScoreLine:
    card = card_of(score.scorer)
    way = "" if card is None else f"{card.better} is better; "
    of = "" if score.text is None or score.text == text_hash(plain_words(entry.prompt)) else "; of another text"
    flags = "".join(f"; {flag}" for flag in score.flags)
    return ScoreLine(score.scorer, f"{score.value:.4g}", f"{way}{score.scale}; {score.domain}{of}{flags}")


def _differences(a: Entry, b: Entry) -> Iterator[tuple[str, str, str]]:
    """(what, of A, of B) of every setting that is not the same."""
    one, two = ({"prompt": each.prompt, **dict(facts(each))} for each in (a, b))
    for name in dict.fromkeys((*one, *two)):
        before, after = str(one.get(name, "")), str(two.get(name, ""))
        if before != after and name not in ("made", "took"):
            yield name, before or "none", after or "none"


def _query(inside: Shell, q: str) -> Query:
    """Of a search that says nothing any more, all pictures: the one that is asked for is there all the same."""
    try:
        return gallery_words.read(q, inside.service.session.library)[1]
    except InvalidRequest:
        return Query()


def _there(inside: Shell, id: str | None) -> Entry | None:
    if id is None:
        return None
    try:
        return get(inside, id)
    except PictureNotFound:
        return None


def _address(id: str | None, q: str) -> str | None:
    return None if id is None else f"/i/{id}{'?' + urlencode({'q': q}) if q else ''}"
