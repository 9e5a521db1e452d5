"""``limner config``: every setting, its value and where it came from; and whether the files say what they should."""

from __future__ import annotations

import os
from pathlib import Path

import click

from limner.cli.console import out, say, table
from limner.cli.default_group import DefaultGroup
from limner.cli.sheet import count, out_json
from limner.config import Settings, Sourced
from limner.errors import ConfigError

UNSET = "built-in"


class _Group(DefaultGroup):
    default = "show"


@click.group("config", cls=_Group)
def command() -> None:
    """Settings: what is in force, and where each value came from.

    They live in one file that you edit; "limner config path" names it. LIMNER_<SETTING> variables win over it.
    """


@command.command("show")
@click.option("--origin", is_flag=True, help="where each value came from")
@click.option("--json", "json_", is_flag=True, help="as JSON, with origins")
def show(*, origin: bool, json_: bool) -> None:
    """Every setting and its value (what "limner config" alone does)."""
    settings = Settings.load()
    items = list(settings.items())
    if json_:
        values = {key: {"value": sourced.value, "origin": sourced.origin} for key, sourced in items}
        out_json({"file": str(settings.config_file), "settings": values})
        return
    columns = ("setting", "value", "from") if origin else ("setting", "value")
    table(columns, [(key, _shown(sourced), sourced.origin)[: len(columns)] for key, sourced in items])
    here = "" if settings.config_file.is_file() else " (not there yet)"
    say(f"edit {settings.config_file}{here}; - leaves the choice to the model", dim=True)


@command.command("path")
def path() -> None:
    """The settings file, whether it is there or not."""
    out(str(config_file()))


@command.command("check")
def check() -> None:
    """Whether settings, styles and wildcards can be read and name things that exist."""
    from limner.cli.config_check import problems

    settings = Settings.load()
    found = list(problems(settings))
    for error in found:
        say(f"{error.message}{f' ({error.hint})' if error.hint else ''}", warn=True)
    if found:
        raise ConfigError(f"{count(len(found), 'setting')} will fail when used", hint=f"edit {settings.config_file}")
    said = sum(sourced.origin != UNSET for _, sourced in settings.items())
    there = "" if settings.config_file.is_file() else f"; there is no {settings.config_file}, which is fine"
    out(f"{count(said, 'setting')} of your own, all good{there}")


def config_file() -> Path:
    """Where the settings file is or would be, even when what it says is wrong."""
    return folders().config_file


def folders() -> Settings:
    """Settings with nothing but their folders, for when the file or the environment cannot be used."""
    from limner.config import folders_of  # their place must be told even where reading the file fails

    return Settings(*folders_of(None, os.environ))


def _shown(sourced: Sourced) -> str:
    if sourced.value is None or sourced.value == ():
        return "-"
    if isinstance(sourced.value, tuple):
        return ", ".join(sourced.value)
    return str(sourced.value).lower() if isinstance(sourced.value, bool) else str(sourced.value)
