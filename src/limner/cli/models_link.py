"""``limner models link`` and ``unlink``: models of other programs, used where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from limner.cli.console import say, table, told
from limner.cli.sheet import count, out_json
from limner.config import Settings
from limner.errors import InvalidRequest
from limner.models.links.layouts import KINDS, TITLES, Kind
from limner.models.links.links import Link, Links
from limner.models.links.scan import PICKLED, entries_of

if TYPE_CHECKING:
    from limner.models.links.links import Entry

PLURALS: Mapping[Kind, tuple[str, str]] = {
    "checkpoint": ("checkpoint", "checkpoints"),
    "lora": ("LoRA", "LoRA"),
    "embedding": ("embedding", "embeddings"),
    "vae": ("VAE", "VAEs"),
    "upscaler": ("upscaler", "upscalers"),
}


@click.command("link")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(KINDS), help="what all of it is, where folders and contents do not say it")
@click.option("--list", "list_", is_flag=True, help="what is linked; with --kind the names of those")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def link(*, path: Path | None, kind: str | None, list_: bool, json_: bool) -> None:
    """Use the models in a folder or file of yours without copying them.

    PATH is the folder of AUTOMATIC1111's web UI, Forge, SD.Next, ComfyUI or InvokeAI, its models folder, any folder
    with model files in it, or one file. Checkpoints, LoRA, embeddings, VAEs and upscalers are found by the folders they
    lie in, else by their contents.
    """
    links = Links(Settings.load())
    said = cast("Kind | None", kind)
    if path is None:
        _listed(links, said, json_)
        return
    if list_:
        raise InvalidRequest("--list takes no PATH", hint="limner models link --list")
    made = links.add(path, said)
    found = tuple(entries_of(*made))
    if json_:
        out_json(_as_json(made, found))
        return
    told(f"{made.path} ({TITLES[made.layout]}): {_counts(found)}")
    _pickles(found)
    if (made.path / "extra_model_paths.yaml").is_file():
        say("its extra_model_paths.yaml is not read: link the folders that it names too")
    if any(entry.kind == "checkpoint" for entry in found):
        name = next(entry.stem for entry in found if entry.kind == "checkpoint")
        say(f'draw with one by its name: limner -m "{name}" "a red fox"', dim=True)
    kinds = list(dict.fromkeys(entry.kind for entry in found))
    say(f"their names: limner models link --list --kind {kinds[0]}", dim=True)


def _listed(links: Links, kind: Kind | None, json_: bool) -> None:
    if kind is not None:
        entries = links.entries(kind)
        if json_:
            out_json([{"name": name, "path": str(path)} for name, path in entries.items()])
        elif entries:
            table(("name", "file"), entries.items())
        else:
            say(f"no {PLURALS[kind][0]} is linked, and none lies in {links.own(kind)}")
        return
    linked = [(each, tuple(entries_of(*each))) for each in links.links()]
    if json_:
        out_json([_as_json(each, found) for each, found in linked])
        return
    if linked:
        table(("linked", "kind of folder", "holds"), [_row(each, found) for each, found in linked])
    else:
        say("nothing is linked; limner models link PATH links a folder or file")
    own = [(kind, len(tuple(entries_of(links.own(kind), "folder", kind)))) for kind in KINDS]
    for each, number in own:
        if number:
            say(f"{count(number, *PLURALS[each])} in Limner's own folder {links.own(each)}", dim=True)


def _row(each: Link, found: Sequence[Entry]) -> Sequence[object]:
    return (each.path, TITLES[each.layout], _counts(found) if each.path.exists() else "MISSING")


def _counts(found: Sequence[Entry]) -> str:
    numbers = {kind: sum(entry.kind == kind for entry in found) for kind in KINDS}
    return ", ".join(count(number, *PLURALS[kind]) for kind, number in numbers.items() if number) or "no models"


def _pickles(found: Sequence[Entry]) -> None:
    old = [entry for entry in found if entry.path.suffix.lower() in PICKLED]
    if old:
        which = ", ".join(entry.path.name for entry in old[:3]) + (" ..." if len(old) > 3 else "")
        say(
            f"{count(len(old), 'file')} of these can run code when loaded and will be refused: {which}; "
            "limner models convert makes safetensors of them",
            warn=True,
        )


def _as_json(each: Link, found: Sequence[Entry]) -> dict[str, object]:
    names: dict[str, object] = {kind: [entry.name for entry in found if entry.kind == kind] for kind in KINDS}
    return {"path": str(each.path), "layout": each.layout, "kind": each.kind, "exists": each.path.exists(), **names}


@click.command("unlink")
@click.argument("path", type=click.Path(path_type=Path))
def unlink(*, path: Path) -> None:
    """Forget a linked folder or file. It stays as it is."""
    gone = Links(Settings.load()).remove(path)
    told(f"{gone.path} is no longer linked; its files are as they were")
