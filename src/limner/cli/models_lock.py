"""``limner models lock``: write down which weights exactly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from limner.cli.console import out, say
from limner.cli.sheet import count
from limner.config import Settings
from limner.errors import InvalidRequest, OfflineError
from limner.models.catalog import Catalog
from limner.models.links.lock import NAME, Lock
from limner.types import ModelRef


@click.command("lock")
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@click.option(
    "-o", "--out", "path", type=click.Path(path_type=Path, dir_okay=False), default=NAME, help=f"the file; {NAME}"
)
def command(*, names: tuple[str, ...], path: Path) -> None:
    """Write a lock: for each MODEL its repo's commit and the sha256 of every file that decides pixels. Linked LoRA,
    embeddings, VAEs and upscalers can be named too.

    Without MODEL: every fetched model that is on this machine. A lock that is there is added to. It is kept to by
    --lock FILE, by LIMNER_LOCK=FILE, and always where it lies beside the settings (limner config path).
    """
    settings = Settings.load()
    refs = [_ref(name, settings) for name in names or _fetched()]
    if not refs:
        raise InvalidRequest("no model is on this machine but the built-in one", hint="limner models pull NAME")
    lock = Lock.read(path) if path.exists() else Lock(where=path.name)
    lock.having(refs).write(path)
    out(str(path))
    say(f"{count(len(refs), 'model')} locked: {', '.join(ref.name for ref in refs)}; keep to it with --lock {path}")


def _fetched() -> Iterator[str]:
    from limner.models.holdings import repos
    from limner.models.state import is_here

    cards = [card for card in Catalog.load().cards if not card.built_in and is_here(card)]
    yield from (card.name for card in cards)
    yield from (repo for repo in repos() if repo not in {card.repo for card in Catalog.load().cards})


def _ref(name: str, settings: Settings) -> ModelRef:
    from limner.cli.models_named import any_kind
    from limner.models.hashes import Hashes
    from limner.models.resolving.resolve import resolve

    what = any_kind(name, settings)
    if what.kind != "checkpoint" and what.path is not None:
        files = {what.path.name: Hashes(settings.cache_root).of([what.path])[what.path]}
        return ModelRef(name=what.path.stem, family=what.kind, files=files)
    try:
        return resolve(name, settings, Catalog.load(), offline=True, lock=Lock()).ref
    except OfflineError as error:
        raise OfflineError(f"{name} cannot be locked: {error.message}", hint=f"limner models pull {name}") from None
