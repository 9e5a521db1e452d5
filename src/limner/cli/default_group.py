"""A group where leaving the command out means one of them: ``limner gallery`` is ``limner gallery list``."""

from __future__ import annotations

import click

from limner.errors import UnknownName


class DefaultGroup(click.Group):
    """Runs ``default`` where the first argument is no command; a misspelt command is answered with the nearest."""

    default = "list"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command's name in front of what cannot be a command's name. Raises ``UnknownName``."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = [self.default, *args]
        elif not args[0].startswith("-") and args[0] not in self.commands:
            raise UnknownName(f"{ctx.info_name} command", args[0], self.commands)
        return super().parse_args(ctx, args)
