"""Carrying a comparison out before the reader's eyes, and telling what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from limner.cli.carrying import carried_out
from limner.cli.console import one_line, out, table, told
from limner.cli.drawing import Telling
from limner.cli.sheet import count, duration, out_json, size
from limner.cli.targets import Target, check_writable
from limner.disk import write_atomic
from limner.errors import InvalidRequest
from limner.refine.compare import GRID, Comparison, prepare, run
from limner.refine.compare_study import Study
from limner.refine.compare_table import as_csv, categories, costs, versus
from limner.refine.power import foreseen
from limner.refine.report import REPORT
from limner.refine.report import write as write_report
from limner.refine.report.compared import report_of
from limner.refine.verdict import Test, Verdict
from limner.refine.verdict_words import span
from limner.refine.voting import export
from limner.session import Session


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is written beside the library's own: copies of grid and report, a CSV, a voting page's folder."""

    grid: Path | None
    csv: Path | None
    report: Path | None
    blind: Path | None

    @classmethod
    def of(cls, *, output: str | None, csv_file: str | None, report: str | None, blind: str | None) -> Self:
        """Checked before anything is drawn. Raises ``InvalidRequest``, ``StorageError``."""
        grid = None
        if output is not None:
            target = Target.of(output)
            grid = target.path / GRID if target.folder else target.path
            if grid.suffix.lower() != ".png":
                raise InvalidRequest("output: the grid is a PNG", field="output", hint="end it in .png, or in /")
        csv = None if csv_file is None else Path(csv_file).expanduser()
        page = None if report is None else Path(report).expanduser()
        folder = None if blind is None else Path(blind).expanduser()
        for path in (csv, page):
            if path is not None:
                check_writable(path.parent)
        if folder is not None:
            check_writable(folder if folder.is_dir() else folder.parent)
        return cls(grid, csv, page, folder)


def follow(study: Study, session: Session, telling: Telling) -> Comparison:
    """Say what will be done, and do it. Raises any ``LimnerError``; after Ctrl-C ``Cancelled``, with all that is made
    kept."""
    prepared = prepare(study, session)
    for notice in study.notices:
        telling.warn(notice)
    total = study.pictures - prepared.made
    there = f", {count(prepared.made, 'picture')} there already" if prepared.made else ""
    seeds = f"{count(study.n, 'seed')} from {study.seed}"
    sides = f"{len(study.arms)} sides, {count(len(study.texts), 'text')}, {seeds}"
    time = "" if prepared.seconds is None or not total else f", about {duration(prepared.seconds)}"
    telling.say(f"{sides}: {count(total, 'picture')} to draw{time}{there}")
    guard = "" if study.scorers.alignment is None else f"; alignment by {study.scorers.alignment}"
    telling.say(f"judged by {', '.join(study.scorers.judges)}{guard}; at most {study.margin:g} SD of it may be lost")
    least = study.alpha * study.looks.shares[-1] / study.hypotheses
    telling.say(foreseen(study.units, study.unit, study.worthwhile, least))
    return carried_out(
        lambda draw: run(prepared, session, draw=draw, tell=telling.say),
        session,
        telling,
        made=prepared.made,
        total=study.pictures,
    )


def tell(found: Comparison, session: Session, telling: Telling, wanted: Wanted) -> None:
    """Write what is wanted, and print the verdict: JSON, or words and tables."""
    written = _write(found, session, wanted)
    if telling.json:
        out_json({**found.as_json(), **_tables(found), **{name: str(path) for name, path in written.items()}})
        return
    for notice in dict.fromkeys(notice.message for each in found.pairs for notice in each.notices):
        telling.warn(notice)
    if len(found.verdicts) == 1:
        tell_verdict(found.verdict)
    else:
        _tell_many(found.verdicts)
    if len(found.study.texts) > 1:
        _tell_prompts(found)
    if len({model.name for model in found.models}) > 1:
        _tell_costs(found)
    for path in written.values():
        out(str(path))
    if telling.show and "grid" in written:
        from limner.cli.terminal import show

        show(written["grid"])


def tell_verdict(verdict: Verdict) -> None:
    """The sentence, what differs, and a row a scorer."""
    told(verdict.sentence)
    out("")
    for each in verdict.differing:
        a, b = (one_line(side, 60) or "not said" for side in (each.a, each.b))
        out(f"  {each.field}: {a} -> {b}")
    interval = f"gain ({100 * (1 - verdict.level):g}% interval)"
    table(("scorer", "role", "A", "B", interval, "p", "finding"), [_row(test) for test in verdict.tests])
    out("")


def _row(test: Test) -> Sequence[object]:
    p = test.p if test.adjusted is None else test.adjusted
    finding = {
        "neither": "no difference shown",
        "slight": "none worth having",
        "A": "A better",
        "B": "B better",
        "open": "not shown to be kept",
    }
    said = finding.get(test.finding, test.finding)
    shown = "<0.001" if p < 0.001 else f"{p:.3f}"
    return test.scorer.name, test.role, f"{test.mean_a:.4g}", f"{test.mean_b:.4g}", span(test), shown, said


def _tell_many(verdicts: Sequence[Verdict]) -> None:
    """A row an arm and judge; p is after Holm over all of them."""
    rows: list[Sequence[object]] = []
    for verdict in verdicts:
        more = "" if verdict.more is None else f"{verdict.more} {verdict.unit}s"
        guards = ", ".join(f"{test.role} {test.finding}" for test in verdict.guards)
        for k, test in enumerate(verdict.judges):
            p = test.p if test.adjusted is None else test.adjusted
            about = (verdict.b, verdict.a, verdict.outcome) if k == 0 else ("", "", "")
            rest = (guards, more) if k == 0 else ("", "")
            rows.append((*about, test.scorer.name, span(test), f"{p:.3g}", *rest))
    interval = f"gain ({100 * (1 - verdicts[0].level):g}% interval)"
    table(("side", "beside", "verdict", "judge", interval, "p (Holm)", "guards", "more needed"), rows)
    out("")
    for cap in dict.fromkeys(cap for verdict in verdicts for cap in verdict.caps):
        told(f"Indicative only: {cap}.")


def _tell_prompts(found: Comparison) -> None:
    for each in versus(found):
        won = each.won
        told(f"{each.arm} wins {won.rate:.0%} ({won.low:.0%} to {won.high:.0%}, by prompt) against {each.reference}")
    if rows := categories(found):
        columns = ("category", "side", "prompts", "lost", "wins", "gain")
        shown = [(r.name, r.arm, r.prompts, r.lost, f"{r.rate:.0%}", f"{r.gain:+.3g}") for r in rows]
        table(columns, shown)
    out("")


def _tell_costs(found: Comparison) -> None:
    rows = []
    for each in costs(found):
        time = "" if each.seconds is None else duration(each.seconds)
        rows.append((each.arm, each.model, time, size(each.peak_bytes), each.licence, each.restrictions))
    table(("side", "model", "a picture", "memory", "licence", "restrictions"), rows)
    out("")


def _tables(found: Comparison) -> dict[str, object]:
    rows = [{**each._asdict(), "won": each.won._asdict()} for each in versus(found)]
    return {
        "versus": rows,
        "categories": [each._asdict() for each in categories(found)],
        "costs": [each._asdict() for each in costs(found)],
    }


def _write(found: Comparison, session: Session, wanted: Wanted) -> dict[str, Path]:
    """The files that there are for the reader, by what they are."""
    written: dict[str, Path] = {}
    if wanted.grid is not None:
        write_atomic(wanted.grid, found.grid)
    if (grid := wanted.grid or (None if found.folder is None else found.folder / GRID)) is not None:
        written["grid"] = grid
    if wanted.csv is not None:
        write_atomic(wanted.csv, as_csv(found).encode("utf-8", "replace"))
        written["csv"] = wanted.csv
    page = report_of(found, session)
    places = [path for path in (None if found.folder is None else found.folder / REPORT, wanted.report) if path]
    for path in places:
        written["report"] = write_report(page, path)
    if wanted.blind is not None:
        written["page"] = export(found, session, wanted.blind)
    return written
