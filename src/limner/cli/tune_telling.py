"""Drawing before and after a LoRA before the reader's eyes, and telling what it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from limner.cli.carrying import carried_out
from limner.cli.console import out, table, told
from limner.cli.drawing import Telling
from limner.cli.sheet import count, duration, out_json
from limner.cli.targets import slug
from limner.disk import write_atomic
from limner.errors import LibraryError
from limner.refine.compare import GRID, STUDY
from limner.refine.power import foreseen
from limner.refine.report import REPORT
from limner.refine.report import write as write_report
from limner.refine.report.tuned import report_of, rows_of
from limner.refine.tuned import RESULT, run, write_json
from limner.refine.tuned_answers import Shown
from limner.refine.tuned_design import Ready
from limner.refine.verdict_words import span
from limner.session import Session

PICTURES = "pictures"


def follow(ready: Ready, session: Session, telling: Telling) -> Shown:
    """Say what will be done, and do it. Raises any ``LimnerError``; after Ctrl-C ``Cancelled``, with all that is made
    kept."""
    design = ready.design
    study = design.studies[0]
    total = design.pictures - ready.made
    there = f", {count(ready.made, 'picture')} there already" if ready.made else ""
    time = "" if ready.seconds is None or not total else f", about {duration(ready.seconds)}"
    seeds = f"{count(study.n, 'seed')} from {study.seed}"
    asked = count(len(design.asked), "question")
    telling.say(f"{asked}, before and after, {seeds}: {count(total, 'picture')} to draw{time}{there}")
    telling.say(f"likeness by {design.tower}, words by {', '.join(study.scorers.judges)}; all share one alpha (Holm)")
    telling.say(foreseen(study.units, "seed", study.worthwhile, study.alpha / len(design.asked)))
    return carried_out(
        lambda draw: run(ready, session, draw=draw, tell=telling.say),
        session,
        telling,
        made=ready.made,
        total=design.pictures,
    )


def tell(
    found: Shown,
    session: Session,
    telling: Telling,
    facts: Mapping[str, str],
    sheet: Mapping[str, object],
    *,
    file: Path,
    out_folder: Path | None,
    report: Path | None,
) -> None:
    """Write what is wanted, and print what was found: JSON, or words and tables. ``facts`` of the training are for
    people, ``sheet`` is the same for --json."""
    written = _write(found, session, facts, out_folder, report)
    if telling.json:
        paths = {name: str(path) for name, path in written.items()}
        out_json({"file": str(file), **sheet, **found.as_json(), **paths})
        return
    for notice in found.notices():
        telling.warn(notice)
    told(found.headline)
    told(found.numbers)
    out("")
    table(("question", "words", "diversity", "judge", "gain (interval)", "p (Holm)", "verdict"), _rows(found))
    out(f"\n{found.how}.")
    if not telling.quiet:
        _tell_rows(found)
    out("")
    for path in written.values():
        out(str(path))


def _rows(found: Shown) -> list[Sequence[object]]:
    rows: list[Sequence[object]] = []
    for each in found.answers:
        (test, *_), verdict = each.verdict.judges, each.verdict
        p = test.p if test.adjusted is None else test.adjusted
        said = "<0.001" if p < 0.001 else f"{p:.3f}"
        rows.append((each.asked.name, each.words, each.diversity, test.scorer.name, span(test), said, verdict.outcome))
    return rows


def _tell_rows(found: Shown) -> None:
    for each in found.answers:
        out(f"\n{each.asked.what}, {each.asked.name}: {each.verdict.sentence}")
        for name, said in rows_of(each):
            out(f"  {name}: {said}")


def _write(
    found: Shown, session: Session, facts: Mapping[str, str], out_folder: Path | None, report: Path | None
) -> dict[str, Path]:
    """The files that there are for the reader, by what they are."""
    page = report_of(found, session, list(facts.items()))
    written: dict[str, Path] = {}
    if found.folder is not None:
        written["grid"] = found.folder / GRID
        written["report"] = write_report(page, found.folder / REPORT)
    if out_folder is not None:
        write_json(out_folder / STUDY, found.stored)
        write_json(out_folder / RESULT, found.as_json())
        write_atomic(out_folder / GRID, found.grid)
        write_report(page, out_folder / REPORT)
        _copy(found, session, out_folder / PICTURES)
        written["out"] = out_folder
    if report is not None:
        written["copy"] = write_report(page, report)
    return written


def _copy(found: Shown, session: Session, folder: Path) -> None:
    """The pictures' own files, Records and marks inside: ``1-a-sks-fox-before-7.png``."""
    for k, each in enumerate(found.answers, 1):
        for (arm, _), pictures in sorted(each.taken.scored.items()):
            side = ("before", "after")[arm]
            for picture in pictures:
                name = f"{k}-{slug(each.asked.name)}-{side}-{picture.trial.seed}"
                if picture.picture is not None:
                    path = session.library.get(picture.picture).path
                    try:
                        write_atomic(folder / f"{name}{path.suffix}", path.read_bytes())
                    except OSError as error:
                        raise LibraryError(f"{path} cannot be read: {error}", hint="draw it again") from error
