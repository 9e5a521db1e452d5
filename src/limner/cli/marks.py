"""``--marks`` and ``--metadata``: what pictures' files carry. One pair of options for all commands that write any."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, get_args

import click

from limner.types import Marks, Metadata

Decorated = TypeVar("Decorated", bound=Callable[..., object])


def marks_options(command: Decorated) -> Decorated:
    """Gives a command the options ``marks`` and ``metadata``, ``None`` where they are not said."""
    metadata = click.option(
        "--metadata",
        type=click.Choice(get_args(Metadata)),
        help="minimal keeps prompt and settings out of the file; the library has them; default: full",
    )
    marks = click.option(
        "--marks",
        type=click.Choice(get_args(Marks)),
        help="what says that a machine made it: full, metadata (no watermark) or none; default: full; limner inspect",
    )
    return marks(metadata(command))
