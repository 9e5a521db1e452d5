"""``limner models pull``: a model's files onto this machine, and nothing else of its repo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from limner.cli.console import say, told
from limner.cli.sheet import count, out_json, size
from limner.config import Settings
from limner.errors import OfflineError

if TYPE_CHECKING:
    from limner.models.catalog import Card
    from limner.models.hub.repo import Progress
    from limner.models.resolving.resolve import Resolved


@click.command("pull")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--dry-run", is_flag=True, help="only say how many bytes would be fetched")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def command(*, names: tuple[str, ...], dry_run: bool, json_: bool) -> None:
    """Fetch models: catalog names or hub repos, NAME@COMMIT for one version.

    Only the files that drawing needs are fetched, and each is compared with the hub's hash before its first use. A
    download that was cut goes on where it stopped.
    """
    found = [_foreseen(name, quiet=json_) if dry_run else _pulled(name, quiet=json_) for name in names]
    if json_:
        out_json(found)


def _foreseen(name: str, *, quiet: bool) -> dict[str, object]:
    from limner.models.catalog import Catalog
    from limner.models.resolving.resolve import download_bytes

    settings = Settings.load()
    _forbid(name, settings)
    left = download_bytes(name, settings, Catalog.load())
    if not quiet:
        told(f"{name}: {size(left)} to fetch" if left else f"{name}: nothing to fetch")
    return {"name": name, "fetch_bytes": left}


def _pulled(name: str, *, quiet: bool) -> dict[str, object]:
    from limner.cli.downloading import reporting
    from limner.cli.drawing import Telling
    from limner.cli.models_named import named
    from limner.models.catalog import Catalog
    from limner.models.resolving.resolve import resolve

    settings = Settings.load()
    what = named(name, settings)
    if what.repo is None:
        if not quiet:
            told(f"{what.name}: {'built in' if what.card else 'already on this machine'}; nothing to fetch")
        return {"name": what.name, "fetched_bytes": 0}
    _forbid(name, settings)
    if what.card is not None and not quiet:
        _terms(what.card)
    fetched = 0

    with reporting(what.name, Telling(json=quiet)) as report:

        def counted(progress: Progress) -> None:
            nonlocal fetched
            fetched = progress.done
            report(progress)

        found = resolve(name, settings, Catalog.load(), report=counted)
    for notice in found.notices:
        say(notice.message, warn=True)
    if not quiet:
        _told(found, fetched)
    return _as_json(found, fetched)


def _forbid(name: str, settings: Settings) -> None:
    if settings.offline:
        origin = settings.value("network.offline").origin
        raise OfflineError(
            f"{name} cannot be fetched: the network is forbidden ({origin})", hint="allow it and try again"
        )


def _terms(card: Card) -> None:
    terms = f": {card.restrictions}" if card.restrictions else ""
    say(f"{card.title}, {card.licence}{terms}")
    if card.gated:
        say(f"gated: accept its terms at https://huggingface.co/{card.repo} and log in with `hf auth login`")


def _told(found: Resolved, fetched: int) -> None:
    files = {path.resolve() for path in found.files.paths.values()}
    whole = sum(path.stat().st_size for path in files)
    new = f"{size(fetched)} fetched" if fetched else "all were here"
    at = f" at {found.ref.commit[:10]}" if found.ref.commit else ""
    told(f"{found.card.name}{at}: {count(len(files), 'file')}, {size(whole)}, {new}; every hash is the hub's")
    say(f'draw with it: limner -m {found.card.name} "a red fox"', dim=True)


def _as_json(found: Resolved, fetched: int) -> dict[str, object]:
    ref = found.ref
    facts = {"name": found.card.name, "family": ref.family, "repo": ref.repo, "commit": ref.commit}
    return {**facts, "fetched_bytes": fetched, "files": dict(ref.files)}
