"""``limner safety``: the classifiers that look at pictures: which there are, fetching them, trying them."""

from __future__ import annotations

import click

from limner.cli import safety_list, safety_pull, safety_try
from limner.cli.default_group import DefaultGroup


@click.group("safety", cls=DefaultGroup)
def command() -> None:
    """Image checkers: list them, fetch them, and see what they say of a picture.

    They look at every finished picture of a model whose card does not say that it needs no check: the built-in models
    do. On the level strict nothing is drawn without one; on standard one that is here is used, and else you are told.
    """


for _each in (safety_list, safety_pull, safety_try):
    command.add_command(_each.command)
