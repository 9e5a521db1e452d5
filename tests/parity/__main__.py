"""Measure, and write docs/parity.md."""

from __future__ import annotations

import argparse
import platform
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from limner import Session
from limner.config import Settings
from tests.parity import BOUND, Bench, Measured, distance, subjects

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"
LIBRARIES = ("torch", "diffusers", "transformers")
HEAD = """# Parity

*Written by `python -m tests.parity`; do not edit. {when}, {where}.*

The same checkpoint, seed and words, drawn here and by the library that the family comes from, in float32 on the CPU.
The checkpoints have the real architectures at small sizes and **random weights**: that shows that the mathematics is
the same, and says nothing of published weights, which `limner models verify` compares on a machine that can fetch them.

A figure is the largest difference of any colour value, of 255; 0 is the same to the last bit of the picture. The tests
hold every one of them to at most {bound}. A dash was not compared.
"""


def measured(families: Sequence[str]) -> Iterator[Measured]:
    """Each subject's distances; a row is printed as it is found."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings.load(Path(home) / "home", {})
        with Session(settings=settings, keep=False, offline=True) as session:
            bench = Bench(Path(home), session)
            for subject in subjects(*families):
                found = {solver: distance(subject, solver, bench) for solver in subject.solvers}
                shown = ", ".join(f"{solver} {each.largest}" for solver, each in found.items())
                print(f"{subject.family}: {subject.what}: {shown}", flush=True)
                yield Measured(subject.family, subject.what, found, subject.apart)


def page(rows: Sequence[Measured]) -> str:
    where = ", ".join([*(f"{name} {version(name)}" for name in LIBRARIES), f"Python {platform.python_version()}"])
    parts = [HEAD.format(when=datetime.now(UTC).date(), where=where, bound=BOUND)]
    for family in dict.fromkeys(row.family for row in rows):
        parts += [f"## {family}\n", table([row for row in rows if row.family == family])]
    return "\n".join(parts)


def table(rows: Sequence[Measured]) -> str:
    """Subjects down, solvers across; what was not compared, and why, below."""
    solvers = list(dict.fromkeys(solver for row in rows for solver in row.distances))
    lines = ["| | " + " | ".join(solvers) + " |", "|---|" + "---|" * len(solvers)]
    for row in rows:
        cells = [str(row.distances[solver].largest) if solver in row.distances else "-" for solver in solvers]
        lines.append(f"| {row.what} | " + " | ".join(cells) + " |")
    values = [each for row in rows for each in row.distances.values()]
    equal = sum(each.largest == 0 for each in values)
    lines += ["", f"{equal} of {len(values)} pictures are equal to the byte."]
    lines += [f"{row.what}, {solver}: {why}." for row in rows for solver, why in row.apart.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    warnings.filterwarnings("ignore", module="diffusers")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", action="append", default=[], help="only this one; may be given several times")
    asked = parser.parse_args()
    rows = list(measured(asked.family))
    if asked.family:
        return
    PAGE.write_text(page(rows), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")


if __name__ == "__main__":
    main()
