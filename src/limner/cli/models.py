"""``limner models``: which models there are, what each asks of you and of this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import click

from limner.cli import convert
from limner.cli.console import one_line, out, say, table, told
from limner.cli.default_group import DefaultGroup
from limner.cli.models_state import State, state
from limner.cli.sheet import Fact, out_json, sheet, size
from limner.config import Settings
from limner.errors import ModelNotFound, OfflineError
from limner.models.catalog import Card, Catalog
from limner.models.machine import choose_device, choose_dtype, probe

BUILT_IN_MODEL = "pocket"


@click.group("models", cls=DefaultGroup)
def command() -> None:
    """Which models there are, and which fit this machine."""


command.add_command(convert.command)


@command.command("list")
@click.option("--fits", is_flag=True, help="only those that fit this machine")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def list_(*, fits: bool, json_: bool) -> None:
    """List models (what "limner models" alone does)."""
    settings = Settings.load()
    states = [state(card, probe()) for card in Catalog.load().cards]
    shown = [each for each in states if not fits or (each.fit is not None and each.fit.ok)]
    if json_:
        out_json([as_json(each) for each in shown])
        return
    if shown:
        table(("model", "draws", "native", "steps", "licence", "here", "fits"), map(_row, shown))
    _footnotes(shown)
    if len(shown) < len(states):
        say(f"{len(states) - len(shown)} more do not fit this machine (limner models list)", dim=True)
    say(f"default: {default_model(settings)}; -m NAME takes another, a hub repo (org/name) or a folder", dim=True)


@command.command("show")
@click.argument("name", metavar="NAME")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def show(name: str, *, json_: bool) -> None:
    """All that is known of a model: a catalog name, or a hub repo or folder that is on this machine."""
    found = state(card_of(name), probe())
    if json_:
        out_json(as_json(found))
        return
    out(f"{found.card.name}: {found.card.title}" if found.card.title != found.card.name else found.card.name)
    sheet(_of_card(found.card))
    sheet(_of_machine(found), heading="on this machine")


def card_of(name: str) -> Card:
    """The card of a catalog name, else of a folder or a cached hub repo; never asks the network.

    Raises ``UnknownName``, ``ModelError``.
    """
    catalog = Catalog.load()
    if (card := catalog.find(name)) is not None:
        return card
    from limner.models.resolve import resolve

    try:
        return resolve(name, Settings.load(), catalog, offline=True).card
    except OfflineError as error:
        raise ModelNotFound(
            f"{name} is not in the catalog and not on this machine",
            hint=f'limner -m {name} "a test" fetches it from the hub; limner models lists the catalog',
        ) from error


def default_model(settings: Settings) -> str:
    """The model that draws where none is named."""
    return str(settings.value("model").value or BUILT_IN_MODEL)


def as_json(found: State) -> dict[str, object]:
    """The card with what this machine adds to it."""
    fit = None if found.fit is None else found.fit._asdict()
    more: dict[str, object] = {
        "here": found.here,
        "fetch_bytes": found.fetch,
        "memory_needed": found.memory,
        "fit": fit,
    }
    return found.card.model_dump(mode="json") | more


def _row(found: State) -> Sequence[object]:
    card = found.card
    licence = f"{card.licence} *" if card.restrictions else card.licence
    return (card.name, _draws(card), _native(card), card.steps, licence, here(found), _fits(found))


def _draws(card: Card) -> str:
    return one_line(card.world if card.world != "not known" else card.title, 40)


def _native(card: Card) -> str:
    return f"{card.width}x{card.height}" if card.width and card.height else "not known"


def here(found: State) -> str:
    """Whether its files are on this machine, or how many bytes are to be fetched, in words."""
    if found.card.built_in:
        return "built in" if found.here else "MISSING"
    if found.here:
        return "fetched"
    return f"{size(found.fetch)} to fetch" if found.fetch else "to be fetched"


def _fits(found: State) -> str:
    if found.fit is None:
        return "not known"
    return f"{'yes' if found.fit.ok else 'no'} (about {size(found.memory)})"


def _footnotes(states: Iterable[State]) -> None:
    """Each restriction once, with the models it binds."""
    bound: dict[str, list[str]] = {}
    for card in (each.card for each in states):
        if card.restrictions:
            bound.setdefault(card.restrictions, []).append(card.name)
    for restriction, names in bound.items():
        told(f"* {', '.join(names)}: {restriction}")


def _of_card(card: Card) -> Iterator[Fact]:
    yield "draws", card.blurb
    yield "family", card.family
    yield "from", card.repo or card.folder or "inside Limner"
    yield "revision", card.commit
    yield "licence", card.licence
    yield "restrictions", card.restrictions
    yield "access", "gated: accept its terms on the hub, then log in there" if card.gated else ""
    yield "weights", size(card.size_bytes) or "not known"
    yield "native size", _native(card)
    yield "steps", card.steps
    yield "guidance", card.guidance
    yield "solver", card.solver
    yield "prediction", card.prediction
    yield "verified", card.verified
    yield "also called", ", ".join(card.aliases)


def _of_machine(found: State) -> Iterator[Fact]:
    device = choose_device(None, probe())
    chosen = choose_dtype(None, device, probe())
    yield "files", here(found)
    yield "memory", f"about {size(found.memory)} in {chosen.dtype} on {device}" if found.memory else "not known"
    yield "fits", "not known" if found.fit is None else found.fit.reason.removeprefix("fits: ")
    yield "numbers", f"{chosen.dtype}: {chosen.reason}"
