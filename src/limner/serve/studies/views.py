"""What a page or a client is told of a study."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from limner.refine.verdict_types import Verdict
from limner.serve.studies.ties import Kind
from limner.types.base import Frozen

Mark = Literal["worst", "median", "best", ""]


class Brief(Frozen):
    """A study in a list. ``outcome``: better, worse, traded off, no evidence; of a refinement also kept, chosen,
    stopped; of a grid drawn; ``""`` where there is none yet. ``changed`` is in seconds since the epoch."""

    id: str
    kind: Kind
    title: str
    outcome: str
    sentence: str
    finished: bool
    changed: float
    pictures: int


class Piece(Frozen):
    """A stretch of words: in both prompts (same), only in A's (out), only in B's (new)."""

    kind: Literal["same", "out", "new"]
    text: str


class Pair(Frozen):
    """A pair of pictures by library id. ``gain`` is B's over A by the first judge, ``words`` says all values."""

    unit: str
    mark: Mark
    gain: float
    words: str
    a: str | None
    b: str | None


class SideRequest(Frozen):
    """A side as it is drawn, as far as it was said."""

    name: str
    request: dict[str, JsonValue]


class Side(Frozen):
    """A verdict on two sides with its pictures, worst first. ``prompt``: what B changes in A's words."""

    verdict: Verdict
    a: SideRequest
    b: SideRequest
    prompt: tuple[Piece, ...]
    pairs: tuple[Pair, ...]


class Branch(Frozen):
    """A rewrite, with those that were made of it. ``gain`` is over the user's own words, on ``seeds`` seeds."""

    id: str
    edit: str
    reason: str
    strategy: str
    words: tuple[Piece, ...]
    gain: float | None
    seeds: int
    says: str
    fate: str
    finalist: bool
    branches: tuple[Branch, ...]


class Fact(Frozen):
    """A line: what it is about, and what is so."""

    name: str
    value: str


class GridView(Frozen):
    """Sides side by side. ``rows`` and ``columns`` name two axes where the sides are all their combinations."""

    names: tuple[str, ...]
    requests: tuple[dict[str, JsonValue], ...]
    prompts: tuple[str, ...]
    n: int
    seed: int
    pictures: tuple[tuple[str | None, ...], ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]


class StudyView(Brief):
    """All that is known of a study. ``winner`` is what to draw with from now on, ``null`` where nothing won; ``best``
    are pictures worth looking at first. ``report`` and ``ballot``: whether there is one, or can be."""

    words: str
    sides: tuple[Side, ...]
    tree: tuple[Branch, ...]
    facts: tuple[Fact, ...]
    costs: tuple[Fact, ...]
    notices: tuple[str, ...]
    best: tuple[str, ...]
    winner: SideRequest | None
    grid: GridView | None
    report: bool
    ballot: bool
