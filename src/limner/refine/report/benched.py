"""The report of a bench: its table as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from limner.disk import write_atomic
from limner.refine.suites.running import Ran
from limner.refine.suites.tables import Mean, as_json, columns, failures, lines
from limner.types import now
from limner.version import VERSION


def write_bench(ran: Ran, path: Path) -> Path:
    """Write the page; its path. Raises ``StorageError``."""
    write_atomic(path, render_bench(ran).encode("utf-8", "replace"))
    return path


def render_bench(ran: Ran) -> str:
    """The page. Everything that came from outside is escaped; the page itself forbids its browser any request."""
    style = (Path(__file__).parent / "templates" / "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    loader = PackageLoader("limner.refine.report", "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return made.get_template("bench.html.j2").render(
        bench=ran.bench,
        columns=columns(ran),
        lines=lines(ran),
        said=said,
        failures=failures(ran),
        problems=[row for row in ran.rows if row.problem],
        provenance=json.dumps({"limner": VERSION, **as_json(ran), "folder": None}, indent=1, ensure_ascii=False),
        style=Markup(style),  # our own file
        style_hash=f"'sha256-{digest}'",
        created=now(),
        version=VERSION,
    )


def said(mean: Mean) -> str:
    """``0.61 (0.55 to 0.67)``; ``no value`` where there is none."""
    if mean.mean is None:
        return "no value"
    bounds = "" if mean.low is None or mean.high is None else f" ({mean.low:.3g} to {mean.high:.3g})"
    return f"{mean.mean:.4g}{bounds}"
