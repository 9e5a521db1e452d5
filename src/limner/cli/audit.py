"""``limner audit``: looking back on what models and people did. Each command is imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

from limner.errors import UnknownName

COMMANDS: Mapping[str, tuple[str, str]] = {
    "log": ("limner.cli.audit_log", "refusals, and sessions below the usual protection"),
    "verify": ("limner.cli.audit_verify", "whether a line of the log was changed or removed"),
    "bias": ("limner.cli.audit_bias", "who a model draws when nobody said who"),
}


class Audits(click.Group):
    """Imports a command when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        if cmd_name not in COMMANDS:
            raise UnknownName("audit command", cmd_name, COMMANDS)
        found: object = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group("audit", cls=Audits)
def command() -> None:
    """Looking back: what was refused, and what a model does, counted."""
