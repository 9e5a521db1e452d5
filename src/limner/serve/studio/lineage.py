"""Where a picture comes from and what came of it, as a tree: each step with its reason and its gain in scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limner.library.entries import Entry
from limner.library.store import Library
from limner.models.upscaling.family import NAME as UPSCALING
from limner.serve.native.pictures import PictureView
from limner.types import Record, Score


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
    values = {each.id: library.scores(each.id) for each in entries}
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
    values: Mapping[str, Sequence[Score]],
) -> Kin:
    below = [_kin(each, entry, children, values) for each in children.get(entry.id, ())]
    gain = "" if parent is None else _gain(values[parent.id], values[entry.id])
    return Kin(PictureView.of(entry), reason(entry, parent), gain, below)


def _gain(before: Sequence[Score], after: Sequence[Score]) -> str:
    """By the first scorer that has judged both against the same words. Numbers alone: one pair of pictures proves
    nothing."""
    known = {(score.scorer, score.revision, score.text): score.value for score in before}
    for score in after:
        was = known.get((score.scorer, score.revision, score.text))
        if was is not None:
            return f"{score.scorer} {was:.3g} → {score.value:.3g} ({score.value - was:+.2g})"
    return ""
