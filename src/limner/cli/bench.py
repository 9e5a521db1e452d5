"""``limner bench``: a model measured over a set of prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.cli.marks import marks_options
from limner.cli.options import Drawing, fields_of, request_options
from limner.errors import InvalidRequest

if TYPE_CHECKING:
    from limner.refine.suites.reading import SuitePrompt

EPILOG = "Ctrl-C keeps what is drawn; the same command goes on from there. Suites: limner bench list"


class Bench(click.Group):
    """``limner bench SUITE`` runs a suite; a suite's name is no command's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            args = ["list"]
        elif args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("bench", cls=Bench)
def command() -> None:
    """Measure a model over a set of prompts: a table with intervals clustered by prompt.

    \b
    limner bench pocket-suite --limit 20
    limner bench parti -m sd15 -n 4 --csv parti.csv
    limner bench mine.csv -m sdxl
    """


@command.command("run", epilog=EPILOG, cls=Drawing)
@click.argument("name", metavar="SUITE")
@click.option("-n", "n", type=click.IntRange(1, 1_000), default=4, show_default=True, help="seeds of each prompt")
@click.option("--seed", type=int, metavar="NUMBER", help="every prompt's first seed; default: a hash of its words")
@click.option("--limit", type=click.IntRange(1), metavar="NUMBER", help="so many prompts, evenly from all of them")
@click.option(
    "--scorer", "scorers", multiple=True, metavar="NAME", help="a metric; repeat for several (limner metrics)"
)
@click.option("--category", metavar="COLUMN", help="the column of your own file that says the category")
@click.option("--csv", "csv_file", metavar="FILE", help="write a row a picture")
@click.option("--report", metavar="FILE", help="write the table as one HTML file")
@request_options(without=("n", "seed"))
@click.option("--json", "as_json", is_flag=True, help="one JSON object on stdout, nothing else")
@marks_options
@click.option("--offline", is_flag=True, help="never touch the network")
@click.option("-q", "--quiet", is_flag=True, help="only the table and warnings")
def run_(
    name: str,
    n: int,
    seed: int | None,
    limit: int | None,
    scorers: tuple[str, ...],
    category: str | None,
    csv_file: str | None,
    report: str | None,
    as_json: bool,
    marks: str | None,
    metadata: str | None,
    offline: bool,
    quiet: bool,
    **values: object,
) -> int:
    """Draw a suite's prompts, score them against their own words, and tell means with their intervals.

    SUITE is one of "limner bench list", or a .txt, .csv, .tsv or .jsonl file of prompts.
    """
    from limner.cli.draw import checked_early
    from limner.cli.drawing import Telling
    from limner.refine.suites.catalog import find
    from limner.refine.suites.reading import prompts_of
    from limner.types import Request

    telling = Telling.of(as_json=as_json, quiet=quiet, show=False)
    suite = find(name)
    request = checked_early(Request.of(prompt="each of the prompts", **fields_of(values)))
    target, page = (None if name is None else Path(name).expanduser() for name in (csv_file, report))
    for path in (target, page):
        if path is not None:
            from limner.cli.targets import check_writable

            check_writable(path.parent)

    from limner.cli.bench_show import follow, tell
    from limner.cli.downloading import fetch
    from limner.refine.suites.running import bench_of
    from limner.session import Session

    with Session(offline=True if offline else None, scored=False, marks=marks, metadata=metadata) as session:
        prompts = some(prompts_of(suite, suite.file(session.settings), category=category), limit)
        fetch(session, request.model, telling)
        bench = bench_of(suite, prompts, request, session, n=n, seed=seed, scorers=scorers)
        tell(follow(bench, session, telling), telling, target, page)
    return 0


def some(prompts: tuple[SuitePrompt, ...], limit: int | None) -> tuple[SuitePrompt, ...]:
    """So many of them, evenly spread, so that every category keeps its share."""
    if limit is None or limit >= len(prompts):
        return prompts
    return tuple(prompts[k * len(prompts) // limit] for k in range(limit))


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="as JSON")
def list_(as_json: bool) -> int:
    """List the known suites: what they are, under which licence, and whether they are here."""
    from limner.cli.bench_show import tell_suites
    from limner.config import Settings

    tell_suites(Settings.load(), as_json=as_json)
    return 0


@command.command("fetch")
@click.argument("name", metavar="SUITE")
@click.option("--again", is_flag=True, help="also where it is here already")
@click.option("--offline", is_flag=True, help="never touch the network")
def fetch_(name: str, again: bool, offline: bool) -> int:
    """Fetch a suite from its publisher; its licence is shown. Limner ships none that is not its own."""
    from limner.cli.console import out, say
    from limner.refine.suites.catalog import find
    from limner.refine.suites.fetching import address, fetch
    from limner.session import Session

    suite = find(name)
    if suite.layout == "own":
        raise InvalidRequest(f"{name} is here already", field="suite", hint=f"limner bench {name}")
    if suite.fetched:
        say(f"{suite.title}\nlicence: {suite.licence}; {suite.source}\nfrom {address(suite)}")
    with Session(offline=True if offline else None, scored=False) as session:
        out(str(fetch(suite, session, again=again)))
    return 0
