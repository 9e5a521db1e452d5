"""``limner models search``: in the catalog, on this machine, and on the hub where the network is allowed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from limner.cli.console import say, table
from limner.cli.sheet import count, out_json
from limner.config import Settings
from limner.errors import InvalidRequest, NetworkError, OfflineError
from limner.models.catalog import Card, Catalog

if TYPE_CHECKING:
    from limner.models.hub.search import Found

ROWS = 20


@click.command("search")
@click.argument("words", nargs=-1, required=True)
@click.option("--offline", is_flag=True, help="do not ask the hub")
@click.option("-n", "limit", type=click.IntRange(1, 100), default=ROWS, help=f"how many of the hub's; {ROWS}")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def command(*, words: tuple[str, ...], offline: bool, limit: int, json_: bool) -> None:
    """Find models by WORDS: in the catalog, among those on this machine, and on the Hugging Face hub.

    The hub is asked for text-to-image models whose names hold the words, unless the network is forbidden.
    """
    text = " ".join(words).strip()
    if not text:
        raise InvalidRequest("there is nothing to search for", hint="for example: limner models search turbo")
    settings = Settings.load()
    known = [card for card in Catalog.load().cards if _holds(card, text)]
    here = list(_here(settings, text))
    if not json_:  # what is known here is shown before the hub is waited for
        _shown([*map(_of_card, known), *([name, "", "", kind, "on this machine"] for name, kind in here)])
    found, why = _on_the_hub(text, limit, forbidden=offline or settings.offline)
    new = [each for each in found if each.repo not in {card.repo for card in known}]
    if json_:
        out_json(_as_json(known, here, new, why))
        return
    _shown([_of_hub(each) for each in new])
    if why:
        say(why, warn=True)
    elif not (known or here or new):
        say(f"nothing is called {text!r}; try fewer or other words")
    if new:
        say(f"{count(len(new), 'model')} of the hub; limner models show NAME says more, -m NAME draws", dim=True)


def _shown(rows: Sequence[Sequence[object]]) -> None:
    if rows:
        table(("model", "licence", "downloads", "kind", "where"), rows)
        sys.stdout.flush()


def _holds(card: Card, text: str) -> bool:
    facts = (card.name, card.title, card.blurb, card.world, card.family, card.repo, card.licence, card.pipeline)
    everything = " ".join((*(fact or "" for fact in facts), *card.aliases)).lower()
    return all(word in everything for word in text.lower().split())


def _here(settings: Settings, text: str) -> Iterator[tuple[str, str]]:
    """(name, kind) of linked files and of repos in the hub's cache that no card names."""
    from limner.models.holdings import repos
    from limner.models.links.links import KINDS, Links

    cards = {card.repo for card in Catalog.load().cards}
    words = text.lower().split()
    names = [(repo, "checkpoint") for repo in repos() if repo not in cards]
    links = Links(settings)
    names += [(name, kind) for kind in KINDS for name in links.entries(kind)]
    yield from ((name, kind) for name, kind in names if all(word in name.lower() for word in words))


def _on_the_hub(text: str, limit: int, *, forbidden: bool) -> tuple[tuple[Found, ...], str]:
    """What the hub has, or why it is not known."""
    if forbidden:
        return (), "the hub was not asked: the network is forbidden"
    from limner.models.hub.search import search

    try:
        return search(text, limit), ""
    except (NetworkError, OfflineError) as error:
        return (), f"the hub was not searched: {error.message}"


def _of_card(card: Card) -> Sequence[object]:
    return (card.name, card.licence, "", card.pipeline or card.family, "catalog")


def _of_hub(found: Found) -> Sequence[object]:
    where = "hub, gated" if found.gated else "hub"
    kind = found.pipeline or "no diffusers folder"
    return (found.repo, found.licence or "not known", f"{found.downloads:,}", kind, where)


def _as_json(known: Sequence[Card], here: Sequence[tuple[str, str]], new: Sequence[Found], why: str) -> object:
    from dataclasses import asdict

    return {
        "catalog": [card.model_dump(mode="json") for card in known],
        "here": [{"name": name, "kind": kind} for name, kind in here],
        "hub": None if why else [asdict(each) for each in new],
        "hub_not_asked": why or None,
    }
