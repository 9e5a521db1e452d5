"""``limner safety try``: what image checkers say of pictures, and what each level would do."""

from __future__ import annotations

from collections.abc import Sequence

import click

from limner.cli.console import say, table
from limner.cli.safety_list import checkers
from limner.cli.sheet import out_json
from limner.errors import ModelNotFound
from limner.safety.checks.actions import ACTIONS, action
from limner.safety.checks.check import Check, Finding
from limner.safety.checks.panel import command as fetching
from limner.safety.checks.panel import made


@click.command("try")
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@click.option("--checker", "names", multiple=True, metavar="NAME", help="this one (else all that are here)")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def command(*, pictures: tuple[str, ...], names: tuple[str, ...], json_: bool) -> None:
    """Ask image checkers about PICTURES (files, or pictures of your library by id). Nothing is changed or refused.

    Try them on pictures like yours before you rely on one: no figure of theirs was verified here.
    """
    from limner.library.files import decode
    from limner.session import Session

    asked = _asked(names)
    with Session(keep=False) as session:
        paths = [session.file_of(name) for name in pictures]
    said = []
    for path in paths:
        pixels = decode(path)
        said += [(path.name, finding) for check in asked for finding in check.check(pixels)]
    if json_:
        out_json([{"picture": name, **finding.model_dump(), "actions": _actions(finding)} for name, finding in said])
        return
    table(("picture", "checker", "category", "verdict", "score", *ACTIONS), (_row(*each) for each in said))
    for check in asked:
        say(f"{check.card.name}: {check.card.scale}; {check.card.limits}; {check.card.verified}", dim=True)


def _asked(names: Sequence[str]) -> list[Check]:
    found = [made(name) for name in names] or [each for each in checkers() if each.missing() is None]
    if not found:
        raise ModelNotFound("no image checker is on this machine", hint=f"fetch one: {fetching()}")
    for check in found:
        if (command := check.missing()) is not None:
            raise ModelNotFound(f"{check.card.name} is not on this machine", hint=f"fetch it: {command}")
    return found


def _actions(finding: Finding) -> dict[str, str]:
    return {level: action(level, finding) for level in ACTIONS}


def _row(name: str, finding: Finding) -> tuple[str, ...]:
    return (name, finding.checker, finding.category, finding.verdict, f"{finding.score:g}", *_actions(finding).values())
