"""``limner models``: which models there are, what each asks of you and of this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import click

from limner.cli import (
    convert,
    models_check,
    models_link,
    models_lock,
    models_pull,
    models_search,
    models_show,
    models_verify,
)
from limner.cli.console import say, table, told
from limner.cli.default_group import DefaultGroup
from limner.cli.sheet import count, out_json, size
from limner.config import Settings
from limner.errors import LimnerError
from limner.models.catalog import Card, Catalog
from limner.models.machine import probe
from limner.models.state import State, state

BUILT_IN_MODEL = "pocket"


@click.group("models", cls=DefaultGroup)
def command() -> None:
    """Which models there are, and which fit this machine; fetch, check, link, lock and remove them."""


@command.command("list")
@click.option("--fits", is_flag=True, help="only those that fit this machine")
@click.option("--here", "only_here", is_flag=True, help="only those on this machine")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def list_(*, fits: bool, only_here: bool, json_: bool) -> None:
    """List models (what "limner models" alone does): the catalog, and what else is on this machine."""
    settings = Settings.load()
    states = [state(card, probe()) for card in (*Catalog.load().cards, *others())]
    shown = [each for each in states if not fits or (each.fit is not None and each.fit.ok)]
    shown = [each for each in shown if each.here or not only_here]
    if json_:
        out_json([as_json(each) for each in shown])
        return
    if shown:
        table(("model", "native", "steps", "licence", "to fetch", "fits memory"), map(_row, shown))
    _footnotes(shown)
    _linked(settings)
    if fits and len(shown) < len(states):
        say(f"{len(states) - len(shown)} more do not fit this machine (limner models list)", dim=True)
    say(
        f"default: {default_model(settings)}; -m NAME takes another, a hub repo (org/name), a folder or a file",
        dim=True,
    )


for _each in (models_search, models_show, models_pull, models_verify, models_lock, convert):
    command.add_command(_each.command)
for _one in (models_check.check, models_check.rm, models_link.link, models_link.unlink):
    command.add_command(_one)


def others() -> Iterator[Card]:
    """Cards of hub repos on this machine that the catalog does not know and that Limner can draw with."""
    from limner.models.holdings import repos
    from limner.models.hub.cache import RepoName, cached
    from limner.models.resolving.resolved import in_folder, unknown_card

    known = {card.repo for card in Catalog.load().cards}
    for repo in repos():
        there = cached(RepoName(repo))
        if repo in known or there is None:
            continue
        found = there.files()
        try:
            seen = in_folder(found, repo)
            used = {name: found[name] for name in seen.need.names}
            yield unknown_card(repo, seen.family, used, repo=repo, commit=there.commit)
        except LimnerError:
            continue


def card_of(name: str) -> Card:
    """The card of a catalog name, else of a folder, file or cached hub repo; never asks the network.

    Raises ``UnknownName``, ``ModelError``.
    """
    return models_show.card_of(name)


def default_model(settings: Settings) -> str:
    """The model that draws where none is named."""
    return str(settings.value("model").value or BUILT_IN_MODEL)


def as_json(found: State) -> dict[str, object]:
    """The card with what this machine adds to it."""
    return models_show.as_json(found)


def here(found: State) -> str:
    """Whether its files are on this machine, or how many bytes are to be fetched, in words."""
    return models_show.here(found)


def _row(found: State) -> Sequence[object]:
    card = found.card
    licence = f"{card.licence} *" if card.restrictions else card.licence
    native = str(card.width) if card.width and card.width == card.height else models_show.native(card)
    return (card.name, native, card.steps, licence, _to_fetch(found), _memory(found))


def _to_fetch(found: State) -> str:
    if found.here or found.card.built_in:
        return here(found)
    return f"{size(found.fetch) or 'not known'}{', gated' if found.card.gated else ''}"


def _memory(found: State) -> str:
    if found.fit is None:
        return "not known"
    return f"{'yes' if found.fit.ok else 'no'}, {size(found.memory)}"


def _footnotes(states: Iterable[State]) -> None:
    """Each restriction once, with the models it binds."""
    bound: dict[str, list[str]] = {}
    for card in (each.card for each in states):
        if card.restrictions:
            bound.setdefault(card.restrictions, []).append(card.name)
    for restriction, names in bound.items():
        told(f"* {', '.join(names)}: {restriction}")


def _linked(settings: Settings) -> None:
    """How many checkpoints are linked; their names are many, and a list of their own."""
    from limner.models.links.links import Links

    try:
        number = len(Links(settings).entries("checkpoint"))
    except LimnerError as error:
        say(error.message, warn=True)
        return
    if number:
        say(f"{count(number, 'checkpoint')} of yours besides: limner models link --list --kind checkpoint", dim=True)
