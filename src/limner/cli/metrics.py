"""``limner metrics``: which scorers there are, what each asks of you and of this machine, how far it is believed."""

from __future__ import annotations

from functools import partial

import click

from limner import registry
from limner.cli import metrics_pull, metrics_selftest, metrics_show
from limner.cli.console import say, table, told
from limner.cli.default_group import DefaultGroup
from limner.cli.sheet import out_json, size
from limner.errors import UnknownName
from limner.evaluate.state import State, state, states


@click.group("metrics", cls=DefaultGroup)
def command() -> None:
    """Scorers: list them, fetch their weights, and check them against published numbers."""


@command.command("list")
@click.option("--fits", is_flag=True, help="only those that fit this machine")
@click.option("--here", "only_here", is_flag=True, help="only those that can run now")
@click.option("--may-judge", "chosen_by", metavar="NAME", help="only those that may judge what NAME chose")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def list_(*, fits: bool, only_here: bool, chosen_by: str | None, json_: bool) -> None:
    """List scorers (what "limner metrics" alone does), and which of them are no independent witnesses."""
    found = states(partial(say, warn=True))
    shown = [each for each in found if (not fits or each.fits) and (not only_here or each.missing is None)]
    if chosen_by is not None:
        if chosen_by not in registry.names("metrics"):
            raise UnknownName("metric", chosen_by, registry.names("metrics"))
        searcher = state(chosen_by).card
        shown = [each for each in shown if each.card.takes != "set" and each.card.independent_of(searcher)]
    if json_:
        out_json([metrics_show.as_json(each, found) for each in shown])
        return
    if shown:
        columns = ("metric", "scores", "compares", "domain", "licence", "here", "fits here", "fits a T4")
        table(columns, map(_row, shown))
    for group in kin(found):
        told(f"not independent of one another: {', '.join(group)}")
    say("what one means and how far it may be believed: limner metrics show NAME", dim=True)


for _each in (metrics_show, metrics_pull, metrics_selftest):
    command.add_command(_each.command)


def kin(found: list[State]) -> list[tuple[str, ...]]:
    """Names of scorers that share a backbone or training data, the whole of each such family once."""
    groups: list[set[str]] = []
    for each in found:
        near = {other.name for other in found if not each.card.independent_of(other.card)} | {each.name}
        joined = [group for group in groups if group & near]
        groups = [group for group in groups if not group & near] + [near.union(*joined)]
    return sorted(tuple(sorted(group)) for group in groups if len(group) > 1)


def _row(found: State) -> tuple[str, ...]:
    card = found.card
    what = {"picture and text": "fit to text", "picture": "looks", "set": "sets"}[card.takes]
    one = "within one text" if card.within_one_text else "any"
    licence = f"{card.licence} *" if card.restrictions else card.licence
    return (found.name, what, one, card.domain, licence, here(found), _fits(found.fits), _fits(found.t4))


def here(found: State) -> str:
    """Whether it can run now, or what is to be fetched, in words."""
    if found.missing is None:
        return "yes"
    return f"{size(found.fetch)} to fetch" if found.fetch else "to be made" if found.card.repo is None else "to fetch"


def _fits(fits: bool | None) -> str:
    return "" if fits is None else "yes" if fits else "no"
