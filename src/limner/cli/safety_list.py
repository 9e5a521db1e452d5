"""``limner safety list``: which image checkers there are, and which of them would look at a picture now."""

from __future__ import annotations

import click

from limner import registry
from limner.cli.console import say, table, told
from limner.cli.sheet import out_json, size
from limner.config import Settings
from limner.errors import ConfigError
from limner.safety.checks.actions import ACTIONS
from limner.safety.checks.check import Check
from limner.safety.checks.panel import Panel, made
from limner.session.looking import SETTING


@click.command("list")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def command(*, json_: bool) -> None:
    """List image checkers (what "limner safety" alone does), and what each level makes of them."""
    found = checkers()
    using = in_use()
    if json_:
        out_json({"checkers": [_as_json(each) for each in found], "in_use": list(using), "actions": ACTIONS})
        return
    table(("checker", "looks for", "licence", "size", "here"), (_row(each) for each in found))
    for each in found:
        told(f"{each.card.name}: {each.card.reported}; {each.card.limits}; {each.card.verified}")
    level = Settings.load().protection.level
    if using:
        say(f"on your level, {level}, pictures are looked at by {' and '.join(using)}", dim=True)
    elif level == "strict":
        say("your level is strict: nothing is drawn by models that need a check until one of these is here", warn=True)
    else:
        say(f"on your level, {level}, pictures go unchecked, and you are told: none of these is here", dim=True)
    say("fetch one: limner safety pull NAME; see what it says: limner safety try PICTURE", dim=True)


def checkers() -> list[Check]:
    """All that are registered and look at pictures; one that cannot be used is said, and left out."""
    found = []
    for name in registry.names("checks"):
        try:
            found.append(made(name))
        except (ConfigError, ImportError) as error:
            say(f"{name} cannot be used: {error}", warn=True)
    return found


def in_use() -> tuple[str, ...]:
    """Names of those that would look at a picture now. Raises ``ConfigError``."""
    settings = Settings.load()
    said = settings.value(SETTING)
    return tuple(each.card.name for each in Panel(str(said.value), said.origin).of(settings.protection.level))


def _row(check: Check) -> tuple[str, ...]:
    card = check.card
    licence = f"{card.licence} *" if card.restrictions else card.licence
    here = "yes" if check.missing() is None else "gated" if card.gated else "to fetch"
    return card.name, ", ".join(card.categories), licence, size(card.size_bytes), here


def _as_json(check: Check) -> dict[str, object]:
    missing = check.missing()
    return check.card.model_dump(mode="json") | {"here": missing is None, "fetch": missing}
