"""``limner inspect`` of a model file: what it is, what it is for, and how it was trained."""

from __future__ import annotations

from pathlib import Path

from limner.cli.console import clean, out
from limner.cli.sheet import out_json, sheet, size
from limner.models.links.scan import SUFFIXES


def is_model(path: Path) -> bool:
    """By its name: what it is inside is for ``show`` to find out."""
    return path.suffix.lower() in SUFFIXES


def show(path: Path, *, json_: bool) -> None:
    """Print it. Raises ``ModelError``: a pickle, a damaged file, a kind that cannot be used."""
    from limner.models.adapters.describe import describe

    what, facts = describe(path)
    if json_:
        said = {"path": str(path), "bytes": path.stat().st_size, "what": what}
        out_json({**said, **{label.replace(" ", "_"): text for label, text in facts}})
        return
    out(f"{clean(path.name)}: {what}")
    sheet((("file", path), ("size", size(path.stat().st_size)), *facts))
