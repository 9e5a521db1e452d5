"""``limner safety pull``: an image checker's weights onto this machine."""

from __future__ import annotations

import click

from limner.cli.console import say, told
from limner.cli.sheet import count, out_json, size
from limner.config import Settings
from limner.models.packages import Package
from limner.safety.checks.panel import made


@click.command("pull")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def command(*, names: tuple[str, ...], json_: bool) -> None:
    """Fetch image checkers from the Hugging Face hub. Every file is compared with its publisher's hash."""
    for name in names:
        made(name)  # a wrong name is said before anything is fetched
    found = [_pulled(name, quiet=json_) for name in names]
    if json_:
        out_json(found)


def _pulled(name: str, *, quiet: bool) -> dict[str, object]:
    from limner.cli.downloading import reporting
    from limner.cli.drawing import Telling
    from limner.models.packages import pull, to_fetch

    checker, settings = made(name), Settings.load()
    package = getattr(checker, "package", None)
    card = checker.card
    if not isinstance(package, Package):
        if not quiet:
            told(f"{name}: {checker.missing() or 'nothing to fetch'}")
        return {"name": name, "files": {}}
    fresh = bool(to_fetch(package, settings))
    if fresh and not quiet:
        say(f"{card.title}, {card.licence}{f': {card.restrictions}' if card.restrictions else ''}")
    with reporting(name, Telling(json=quiet)) as report:
        paths = pull(package, settings, report)
    if not quiet:
        whole = sum(path.stat().st_size for path in paths.values())
        said = "every hash is the publisher's" if fresh else "all were here; every hash is right"
        told(f"{name}: {count(len(paths), 'file')}, {size(whole)}; {said}")
        say(f"see what it says of a picture: limner safety try PICTURE --checker {name}", dim=True)
    return {"name": name, "files": {each: str(path) for each, path in paths.items()}}
