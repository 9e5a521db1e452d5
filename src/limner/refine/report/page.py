"""The report as a page: what stands on it, and the one HTML file that it becomes."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from limner.disk import write_atomic
from limner.refine.report import meaning
from limner.refine.report.cases import Case
from limner.refine.report.changes import Piece
from limner.refine.report.embed import Shown, total
from limner.refine.report.plots import DotPlot, Scatter
from limner.refine.report.tree import Tree
from limner.refine.verdict_types import Verdict
from limner.refine.verdict_words import span
from limner.version import VERSION

REPORT = "report.html"
"""Its name beside what it reports of."""


class Fact(NamedTuple):
    """A line of a list: what it is about, and what is so."""

    name: str
    value: str


class Licence(NamedTuple):
    """Who drew or judged, under which licence. ``restrictions`` in plain words, empty for none known."""

    role: str
    name: str
    licence: str
    restrictions: str
    source: str


class Plate(NamedTuple):
    """A picture by itself, with what is said below it."""

    picture: Shown
    words: str


class Promise(NamedTuple):
    """What a search saw of a finalist, and what fresh seeds gave."""

    name: str
    saw: str
    gave: str


@dataclass(frozen=True, slots=True)
class Side:
    """An arm beside its reference: a verdict with its pictures and plots. ``prompt`` says what B changed in A's, ``a``
    and ``b`` are the prompts where they differ; ``units`` are all pairs, of which ``cases`` may be fewer. ``kind`` is
    what is asked, and ``kept`` whether words and diversity are, where sides are of several kinds."""

    verdict: Verdict
    cases: tuple[Case, ...]
    plots: tuple[DotPlot, ...]
    agreement: tuple[Scatter, ...]
    prompt: tuple[Piece, ...] = ()
    units: int = 0
    a: str = ""
    b: str = ""
    kind: str = ""
    kept: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Report:
    """All that stands on the page. ``numbers`` are what the headline stands on; ``words`` are what pictures were scored
    against, empty where there are many."""

    kind: str
    headline: str
    outcome: str
    words: str
    sides: tuple[Side, ...]
    facts: tuple[Fact, ...] = ()
    budget: tuple[Fact, ...] = ()
    licences: tuple[Licence, ...] = ()
    notices: tuple[str, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)
    tree: Tree | None = None
    promises: tuple[Promise, ...] = ()
    plates: tuple[Plate, ...] = ()
    unverified: str = ""
    numbers: str = ""
    picture_bytes: int = 0
    picture_side: int = 0
    created: str = ""

    @property
    def pictures(self) -> int:
        return sum(2 * len(side.cases) for side in self.sides) + len(self.plates)


def render(report: Report) -> str:
    """The page. Everything that came from outside is escaped; the page itself forbids its browser any request."""
    script, style = _source("report.js"), _source("report.css")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            script=Markup(script),  # our own file
            style=Markup(style),  # our own file
            script_hash=_hash(script),
            style_hash=_hash(style),
            provenance=json.dumps(report.provenance, indent=1, ensure_ascii=False),
            weight=total([report.picture_bytes]),
            version=VERSION,
            meaning=meaning,
            span=span,
        )
    )


def write(report: Report, path: Path) -> Path:
    """Write the page; its path. Raises ``StorageError``."""
    write_atomic(path, render(report).encode("utf-8", "replace"))
    return path


@cache
def _environment() -> Environment:
    loader = PackageLoader("limner.refine.report", "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["signed"] = signed
    return made


def signed(value: float) -> str:
    """Three digits and always a sign: ``+0.200``, ``-12.0``."""
    return f"{value:+#.3g}".rstrip(".")


@cache
def _source(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
