"""Running a bench before the reader's eyes, and its table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from limner.cli.console import one_line, out, table, told
from limner.cli.draw import prepare as room
from limner.cli.drawing import Follower, Telling
from limner.cli.sheet import count, out_json
from limner.config import Settings
from limner.disk import write_atomic
from limner.errors import Cancelled
from limner.image import Image
from limner.refine.report import REPORT
from limner.refine.report.benched import said as _mean
from limner.refine.report.benched import write_bench
from limner.refine.suites.catalog import KNOWN
from limner.refine.suites.running import Bench, Ran, Row, done, run
from limner.refine.suites.tables import as_csv, as_json, columns, failures, lines
from limner.session import Session
from limner.types import Plan

CSV, RESULT = "bench.csv", "result.json"


def follow(bench: Bench, session: Session, telling: Telling) -> Ran:
    """Say what will be done, and do it. Raises any ``LimnerError``; after Ctrl-C ``Cancelled``, with all that is made
    kept."""
    prompts = len(bench.prompts)
    known = sum(not row.problem for row in done(bench, session).values())
    there = f"; {count(known, 'prompt')} done already" if known else ""
    total = (prompts - known) * bench.n
    telling.say(
        f"{bench.suite.name} with {bench.model}: {count(prompts, 'prompt')}, {count(bench.n, 'seed')} each{there}"
    )
    telling.say(f"scored by {', '.join(bench.scorers)}; {bench.suite.note}")
    if total:
        room(session, telling)
    follower = Follower(telling, total=max(1, total), silent=True)

    def draw(plans: Sequence[Plan]) -> list[Image]:
        return [image for image in follower.follow(session.run(plans)) if isinstance(image, Image)]

    def tell_row(row: Row) -> None:
        if row.problem:
            with follower.aside():
                telling.warn(f"“{one_line(row.words, 60)}” was left out: {row.problem}")

    try:
        with follower.watching():
            return run(bench, session, draw=draw, tell=tell_row)
    except Cancelled as error:
        error.hint = "the same command goes on from there"
        raise


def tell(ran: Ran, telling: Telling, target: Path | None, page: Path | None = None) -> None:
    """Write what is kept and wanted, and print the table or the JSON."""
    text = as_csv(ran).encode("utf-8", "replace")
    places = [path for path in (None if ran.folder is None else ran.folder / CSV, target) if path is not None]
    for path in places:
        write_atomic(path, text)
    shown = [path for path in (None if ran.folder is None else ran.folder / REPORT, page) if path is not None]
    for path in shown:
        write_bench(ran, path)
    if telling.json:
        written = {name: str(paths[-1]) for name, paths in (("csv", places), ("report", shown)) if paths}
        out_json({**as_json(ran), **written})
        return
    heads = [f"{name} (95% interval)" for name in columns(ran)]
    rows = [(line.category, line.prompts, line.pictures, *map(_mean, line.means)) for line in lines(ran)]
    table(("category", "prompts", "pictures", *heads), rows, title="")
    out("")
    for why, number in failures(ran).items():
        telling.warn(f"{count(number, 'picture')} without a value: {why}")
    left = sum(bool(row.problem) for row in ran.rows)
    if left:
        telling.warn(f"{count(left, 'prompt')} of {len(ran.rows)} could not be drawn; no mean counts them")
    told(f"{ran.bench.suite.name}: {ran.bench.suite.note}. Intervals are clustered by prompt.")
    for path in (*places[-1:], *shown[-1:]):
        out(str(path))


def tell_suites(settings: Settings, *, as_json: bool) -> None:
    """The known suites."""
    here = {suite.name: suite.file(settings).is_file() for suite in KNOWN}
    if as_json:
        out_json([{**suite.model_dump(mode="json"), "here": here[suite.name]} for suite in KNOWN])
        return
    rows = [
        (suite.name, "yes" if here[suite.name] else f"limner bench fetch {suite.name}", suite.licence, suite.title)
        for suite in KNOWN
    ]
    table(("suite", "here", "licence", "what it is"), rows)
