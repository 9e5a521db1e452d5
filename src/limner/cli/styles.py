"""``limner styles``: presets added to prompts; A1111's can be taken over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.cli.default_group import DefaultGroup

if TYPE_CHECKING:
    from limner.config import Settings
    from limner.prompts.styles import Style


@click.group(cls=DefaultGroup, name="styles")
def command() -> None:
    """Presets added to prompts: limner PROMPT --style NAME."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a style on stdout")
def list_styles(as_json: bool) -> None:
    """List the styles: the built-in ones and yours, which win."""
    from limner.cli.console import one_line, out, say, table
    from limner.config import Settings

    settings = Settings.load()
    own, rows = _own(settings), []
    for name, style in sorted(known(settings).items()):
        whose = "yours" if name in own else "built-in"
        rows.append((name, whose, style.prompt, style.negative, style.description))
    columns = ("name", "from", "prompt", "negative", "description")
    if as_json:
        for row in rows:
            out(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False))
        return
    table(
        ("name", "from", "what it does"),
        [(name, whose, one_line(said or words)) for name, whose, words, _, said in rows],
    )
    say("limner styles show NAME says the words", dim=True)


@command.command("show")
@click.argument("name", metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="as JSON")
def show(name: str, as_json: bool) -> None:
    """What a style adds: {prompt} stands for your words."""
    from limner.cli.sheet import out_json, sheet
    from limner.config import Settings
    from limner.prompts.styles import choose

    settings = Settings.load()
    (style,) = choose((name,), known(settings))
    facts = {
        "name": style.name,
        "from": "yours" if name in _own(settings) else "built-in",
        "description": style.description,
        "prompt": style.prompt,
        "negative": style.negative,
    }
    if as_json:
        out_json(facts)
    else:
        sheet(facts.items())


@command.command("import")
@click.argument("file", metavar="STYLES.CSV", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="also those whose name you have already")
def import_styles(file: Path, replace: bool) -> None:
    """Take over the styles of A1111's styles.csv."""
    from limner.cli.console import out, say
    from limner.cli.sheet import count
    from limner.config import Settings
    from limner.disk import write_atomic
    from limner.prompts.styles import import_a1111

    settings = Settings.load()
    own, found = _own(settings), {style.name: style for style in import_a1111(file)}
    clashing = [name for name in found if name in own and own[name] != found[name]]
    new = {name: style for name, style in found.items() if name not in own or (replace and name in clashing)}
    if new:
        write_atomic(settings.styles_file, _merged(settings, own, new).encode())
    out(str(settings.styles_file))
    say(f"{count(len(new), 'style')} taken over, {len(found) - len(new)} left as they were")
    if clashing and not replace:
        say(f"  yours differ and stay: {', '.join(clashing)} (--replace takes the file's)", warn=True)


def known(settings: Settings) -> Mapping[str, Style]:
    """All styles by name; the user's win over the built-in ones."""
    from limner.prompts.styles import builtin_styles

    return {**builtin_styles(), **_own(settings)}


def _own(settings: Settings) -> Mapping[str, Style]:
    from limner.prompts.styles import load_styles

    return load_styles(settings.styles_file) if settings.styles_file.is_file() else {}


def _merged(settings: Settings, own: Mapping[str, Style], new: Mapping[str, Style]) -> str:
    """The style file's text with the new ones. Only a replaced style makes it be written anew: comments are kept."""
    from limner.prompts.styles import to_toml

    if own.keys() & new.keys():
        return to_toml({**own, **new}.values())
    before = settings.styles_file.read_text("utf-8").rstrip("\n") + "\n\n" if own else ""
    return before + to_toml(new.values())
