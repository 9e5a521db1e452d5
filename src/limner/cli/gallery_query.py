"""The options that choose pictures, shared by ``gallery list`` and ``gallery export``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from limner.library.choosing import Choice

__all__ = ["Choice", "better", "choosing"]
Command = TypeVar("Command", bound=Callable[..., object])


def choosing(command: Command) -> Command:
    """Add the options; the command takes them as ``search``, ``model``, ``rating``, ``since``, ``until``,
    ``min_score`` and ``max_score``."""
    options = (
        click.option(
            "-s",
            "--search",
            metavar="TEXT",
            help="all these words in prompt, negative prompt or model; rating:4, model:NAME ... as in the studio",
        ),
        click.option("-m", "--model", metavar="NAME", help="made by this model"),
        click.option("--rating", type=click.IntRange(1, 5), metavar="1-5", help="rated at least this"),
        click.option("--since", metavar="WHEN", help="a date, yesterday, or an age: 12h, 7d, 2w"),
        click.option("--until", metavar="WHEN", help="the same; a date counts to its end"),
        click.option("--min-score", multiple=True, metavar="[NAME:]VALUE", help="scored at least this by that scorer"),
        click.option("--max-score", multiple=True, metavar="[NAME:]VALUE", help="scored at most this"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def better(scorer: str) -> bool:
    """Whether a scorer's higher values are the better ones. Only a question about scores loads what knows of them."""
    from limner.evaluate.defaults import higher_is_better

    return higher_is_better(scorer)
