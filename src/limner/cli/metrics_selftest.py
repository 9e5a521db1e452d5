"""``limner metrics selftest``: scorers against the numbers that their authors published."""

from __future__ import annotations

from pathlib import Path

import click

from limner import registry
from limner.cli.console import say, table
from limner.cli.sheet import out_json
from limner.config import Settings
from limner.errors import EvidenceError, ModelNotFound, UnknownName
from limner.evaluate.state import made


@click.command("selftest")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="the example pictures that authors publish with their code: a clone of it, or the bare files",
)
@click.option("--json", "json_", is_flag=True, help="as JSON")
def command(names: tuple[str, ...], *, pictures: Path | None, json_: bool) -> None:
    """Run the published examples of scorers, within 1 %, and say which could not be run and why.

    Without NAME: all scorers that fetch weights. Exits with 8 where a number differs, with 3 where none could be run.
    """
    from limner.evaluate.selftest import remember, run
    from limner.evaluate.state import package

    known = registry.names("metrics")
    for name in names:
        if name not in known:
            raise UnknownName("metric", name, known)
    chosen = names or tuple(name for name in known if package(name) is not None)
    settings = Settings.load()
    found = []
    for name in chosen:
        metric = made(name)
        mine = list(run(metric, pictures, settings))
        remember(metric, mine, settings)
        found += mine
    if json_:
        out_json([{"metric": each.metric, "status": each.status, "said": each.said} for each in found])
    else:
        table(("metric", "", "what"), [(each.metric, each.status, each.said) for each in found])
    differing = [each.metric for each in found if each.status == "differs"]
    if differing:
        raise EvidenceError(
            f"{', '.join(dict.fromkeys(differing))}: not the published numbers",
            hint="do not believe its scores; report it",
        )
    ran = sum(each.status == "passed" for each in found)
    if not ran:
        raise ModelNotFound("no self-test could be run", hint="the table says what each lacks")
    say(f"{ran} of {len(found)} self-tests run, all as published", dim=True)
