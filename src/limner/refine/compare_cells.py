"""The cells of a comparison, an arm's pictures of one text: planned before anything is drawn, drawn where missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from limner.errors import InvalidRequest, UnreadablePicture
from limner.image import Image
from limner.library.files import decode
from limner.refine.arms import Difference, differing
from limner.refine.compare_study import Study
from limner.session import Session
from limner.types import Plan, Request

Draw = Callable[[Sequence[Plan]], Sequence[Image]]
"""Draws Plans to the end; may raise ``Cancelled``."""


@dataclass(frozen=True, slots=True)
class Cell:
    """An arm's pictures of a text, all seeds: Plans as ``Session.plan`` makes them (several where words vary)."""

    arm: int
    text: int
    plans: tuple[Plan, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The image keys, in order of the seeds."""
        return tuple(plan.image_key(k) for plan in self.plans for k in range(len(plan.seeds)))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(seed.seed for plan in self.plans for seed in plan.seeds)


def cells_of(study: Study, session: Session) -> list[Cell]:
    """All cells, arms of one model together, so that models are loaded once. Raises what ``Session.plan`` raises, and
    ``InvalidRequest`` where two arms would draw the same pictures."""
    found = [
        Cell(arm, text, session.plan(study.request(arm, words)))
        for arm in range(len(study.arms))
        for text, words in enumerate(study.texts)
    ]
    _refuse_same(study, found)
    models = list(dict.fromkeys(cell.plans[0].model.name for cell in found))
    return sorted(found, key=lambda cell: models.index(cell.plans[0].model.name))


def _refuse_same(study: Study, cells: Sequence[Cell]) -> None:
    seen: dict[tuple[str, ...], int] = {}
    for arm in range(len(study.arms)):
        keys = tuple(key for cell in cells if cell.arm == arm for key in cell.keys)
        if keys in seen:
            a, b = study.arms[seen[keys]].name, study.arms[arm].name
            raise InvalidRequest(
                f"{a} and {b} would draw the very same pictures; there is nothing to compare",
                field="prompt",
                hint="change the prompt, the model or a setting of one of them",
            )
        seen[keys] = arm


def differences(cells: Sequence[Cell], a: int, b: int) -> tuple[Difference, ...]:
    """Every field in which two arms differ once all defaults are filled in, by their first text."""
    first = {cell.arm: cell.plans[0] for cell in cells if cell.text == 0}
    return differing(_drawn(first[a]), _drawn(first[b]))


def _drawn(plan: Plan) -> Request:
    """The Request with what the model itself chose."""
    recipe = plan.recipe
    chosen = {"model": plan.model.name, "width": recipe.width, "height": recipe.height, "guidance": recipe.guidance}
    return plan.request.model_copy(update={**chosen, "solver": recipe.solver or plan.request.solver})


def made_before(cell: Cell, places: range, session: Session) -> dict[int, Image]:
    """The pictures of a cell that the library has already, by place. One whose file is damaged counts as missing."""
    if not session.keep:
        return {}
    found: dict[int, Image] = {}
    keys = cell.keys
    for place in places:
        entry = session.library.find_by_key(keys[place])
        if entry is None or entry.record is None:
            continue
        try:
            found[place] = Image(decode(entry.path), entry.record, entry.id, str(entry.path))
        except UnreadablePicture:
            continue
    return found


def draw_cell(cell: Cell, places: range, session: Session, draw: Draw) -> list[Image]:
    """The pictures of a cell at ``places``, in order; only what the library lacks is drawn. Raises what ``draw``
    raises."""
    have = made_before(cell, places, session)
    missing = [place for place in places if place not in have]
    if missing:
        drawn = draw(tuple(_parts(cell, missing)))
        have |= dict(zip(missing, drawn, strict=True))
    return [have[place] for place in places]


def _parts(cell: Cell, places: Sequence[int]) -> Iterator[Plan]:
    """The cell's Plans cut down to some of its pictures; neighbours stay in one Plan."""
    wanted, start = set(places), 0
    for plan in cell.plans:
        inside = [start + k in wanted for k in range(len(plan.seeds))]
        start += len(plan.seeds)
        for lacks, group in groupby(range(len(inside)), key=inside.__getitem__):
            if lacks:
                ks = list(group)
                seeds = tuple(plan.seeds[k] for k in ks)
                yield plan.model_copy(update={"seeds": seeds, "first": plan.first + ks[0]})


def in_library(cells: Sequence[Cell], session: Session) -> int:
    """How many of the cells' pictures are drawn already."""
    if not session.keep:
        return 0
    return sum(session.library.find_by_key(key) is not None for cell in cells for key in cell.keys)
