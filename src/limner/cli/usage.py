"""What click refuses, said as everything else is: a line of what is wrong, a line of what to do."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence

import click

from limner.errors import InvalidRequest

# Commands that are nothing without a name or a file, with one.
EXAMPLES: Mapping[str, str] = {
    "limner replay": "limner replay last",
    "limner vary": "limner vary last -n 4",
    "limner upscale": "limner upscale last --by 2",
    "limner morph": 'limner morph "a cat" "a dog"',
    "limner score": "limner score last",
    "limner inspect": "limner inspect picture.png",
    "limner lint": "limner lint a red fox in the snow",
    "limner gallery rate": "limner gallery rate last 4",
    "limner gallery delete": "limner gallery delete last",
    "limner gallery export": "limner gallery export last FOLDER",
    "limner gallery import": "limner gallery import FOLDER",
    "limner models show": "limner models show sd15",
    "limner models search": "limner models search turbo",
    "limner models pull": "limner models pull sd15",
    "limner models rm": "limner models rm sd15",
    "limner models unlink": "limner models unlink FOLDER",
    "limner styles show": "limner styles show photo",
    "limner styles import": "limner styles import styles.csv",
}


def refusal(error: click.ClickException, args: Sequence[str]) -> InvalidRequest:
    """Click's error in our words; ``args`` are those of the whole command line."""
    where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "limner"
    if isinstance(error, click.NoSuchOption):
        return InvalidRequest(f"no such option {error.option_name!r}", hint=_instead(error, where, args))
    message = error.format_message().removesuffix(".")
    hint = f"{where} --help shows how"
    if isinstance(error, click.MissingParameter) and where in EXAMPLES:
        hint = f"for example: {EXAMPLES[where]} ({hint})"
    return InvalidRequest(message[:1].lower() + message[1:], hint=hint)


def _instead(error: click.NoSuchOption, where: str, args: Sequence[str]) -> str:
    """The options that may be meant, best first; else, where words are drawn, how to draw those that begin so."""
    typed = error.option_name
    near = [] if " " in typed else sorted(error.possibilities or (), key=lambda name: -_alike(typed, name))
    parts = [f"did you mean {' or '.join(near)}?"] if near else []
    if where == "limner draw" and not near:
        words = next((arg for arg in args if arg.startswith(typed)), typed)
        parts.append(f"a prompt that begins with a dash: limner draw -- {shlex.quote(words)};")
    return " ".join([*parts, f"{where} --help shows how"])


def _alike(typed: str, name: str) -> float:
    return difflib.SequenceMatcher(None, typed, name).ratio()
