"""Where a picture comes from and what came of it, as a tree: each step with its reason and its gain in scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limner.evaluate.defaults import higher_is_better
from limner.library.entries import Entry
from limner.library.store import Library
from limner.models.upscaling.family import NAME as UPSCALING
from limner.serve.native.pictures import PictureView
from limner.types import Record


@dataclass(frozen=True, slots=True)
class Kin:
    """A picture of a family. ``reason``: how it came from its parent; ``gain``: what that did to a score, in words."""

    picture: PictureView
    reason: str
    gain: str
    children: Sequence[Kin]


def family(library: Library, id: str, hidden: frozenset[str] = frozenset()) -> Kin | None:
    """The tree that a picture belongs to; ``None`` where it is alone. Asks the disk."""
    entries = [each for each in library.browse.family(id) if each.id not in hidden]
    if len(entries) < 2:
        return None
    values = _values(library, entries)
    children: dict[str | None, list[Entry]] = {}
    known = {each.id for each in entries}
    for entry in entries:
        children.setdefault(entry.parent if entry.parent in known else None, []).append(entry)
    return _kin(children[None][0], None, children, values) if children.get(None) else None


def reason(entry: Entry, parent: Entry | None) -> str:
    """How a picture came about, from its parent where it has one."""
    record = entry.record
    if record is None:
        return "from elsewhere" if parent is None else "made from it"
    request = record.request
    if record.recipe.family == UPSCALING:
        return f"enlarged by {request.upscale}" if request.upscale else "enlarged"
    if request.mask is not None:
        return f"a part drawn anew{_strength(record)}"
    if request.init is not None:
        return f"drawn over it{_strength(record)}"
    if record.seed.variation_seed is not None:
        return f"variation, {record.request.variation:.0%} new noise"
    if parent is None:
        return "drawn"
    if parent.record is not None and parent.record.prompt != record.prompt:
        return "other words"
    return "new seed" if parent.seed != entry.seed else "drawn again"


def _strength(record: Record) -> str:
    return "" if record.request.strength is None else f", strength {record.request.strength:g}"


def _kin(
    entry: Entry,
    parent: Entry | None,
    children: Mapping[str | None, Sequence[Entry]],
    values: Mapping[str, Mapping[str, float]],
) -> Kin:
    below = [_kin(each, entry, children, values) for each in children.get(entry.id, ()) if each.id != entry.id]
    return Kin(
        PictureView.of(entry), reason(entry, parent), "" if parent is None else _gain(entry, parent, values), below
    )


def _gain(entry: Entry, parent: Entry, values: Mapping[str, Mapping[str, float]]) -> str:
    """By the first scorer that has judged both, with the sign that says better or worse."""
    for scorer, scored in values.items():
        if entry.id in scored and parent.id in scored:
            change = scored[entry.id] - scored[parent.id]
            better = (change > 0) == higher_is_better(scorer)
            word = "as before" if change == 0 else "▲ better" if better else "▼ worse"
            return f"{scorer} {change:+.3g}, {word}"
    return ""


def _values(library: Library, entries: Sequence[Entry]) -> Mapping[str, Mapping[str, float]]:
    ids = [each.id for each in entries]
    return {scorer: library.values(scorer, ids) for scorer in library.scorers()}
