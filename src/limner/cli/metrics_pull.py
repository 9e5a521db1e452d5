"""``limner metrics pull``: a scorer's weights onto this machine, pickles converted on the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner import registry
from limner.cli.console import say, told
from limner.cli.sheet import count, out_json, size
from limner.config import Settings
from limner.errors import InvalidRequest
from limner.evaluate.state import made, package

if TYPE_CHECKING:
    from limner.models.hub.repo import Progress


@click.command("pull")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--from",
    "given",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="a pickle of the publisher's that you downloaded; the rest is fetched",
)
@click.option("--json", "json_", is_flag=True, help="as JSON")
def command(*, names: tuple[str, ...], given: Path | None, json_: bool) -> None:
    """Fetch the weights of scorers from the Hugging Face hub, at the commit that each one's card names.

    Every file is compared with its publisher's hash. Where there is only a pickle, it is read once, in a process of its
    own that runs none of its code, and kept as safetensors; the pickle stays in the hub's cache and may be deleted.
    """
    if given is not None and len(names) != 1:
        raise InvalidRequest("--from is of one metric", hint="name that one alone")
    for name in names:
        registry.load("metrics", name)  # a wrong name is said before anything is fetched
    found = [_pulled(name, given, quiet=json_) for name in names]
    if json_:
        out_json(found)


def _pulled(name: str, given: Path | None, *, quiet: bool) -> dict[str, object]:
    from limner.cli.downloading import reporting
    from limner.cli.drawing import Telling
    from limner.models.packages import pull, to_fetch

    settings, wanted = Settings.load(), package(name)
    if wanted is None:
        missing = made(name).missing()
        if not quiet:
            told(f"{name}: {f'made by: {missing}' if missing else 'nothing to fetch'}")
        return {"name": name, "fetched_bytes": 0, "files": {}}
    if not to_fetch(wanted, settings) and given is None:
        paths = pull(wanted, settings)
        if not quiet:
            told(f"{name}: {count(len(paths), 'file')}, all were here; every hash is right")
        return {"name": name, "fetched_bytes": 0, "files": {each: str(path) for each, path in paths.items()}}
    card = made(name).card
    if not quiet:
        say(f"{card.title}, {card.licence}{f': {card.restrictions}' if card.restrictions else ''}")
        pickles = [file.name for file in to_fetch(wanted, settings) if file.pickled]
        if pickles:
            say(f"{', '.join(pickles)}: a pickle, converted to safetensors when it is here", dim=True)
    fetched: dict[str, int] = {}
    with reporting(name, Telling(json=quiet)) as report:

        def counted(progress: Progress) -> None:
            fetched[progress.file] = max(progress.done, fetched.get(progress.file, 0))
            report(progress)

        paths = pull(wanted, settings, counted, given)
    if not quiet:
        whole = sum(path.stat().st_size for path in paths.values())
        told(f"{name}: {count(len(paths), 'file')}, {size(whole)}; every hash is the publisher's")
        say(f'score with it: limner score last --metric {name} --text "a red fox"', dim=True)
    return {
        "name": name,
        "fetched_bytes": max(fetched.values(), default=0),
        "files": {each: str(path) for each, path in paths.items()},
    }
