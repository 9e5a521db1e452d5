"""``limner models convert``: an older model's files as safetensors, which load at once and cannot run code."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.cli.adapters import WHAT
from limner.cli.console import out, say
from limner.errors import InvalidRequest

NEXT: Mapping[str, str] = {
    "checkpoint": 'draw with it: limner -m {path} "a red fox"',
    "lora": 'lay it over a model: limner -m CHECKPOINT --lora {path} "a red fox"',
    "embedding": "limner models link {path} --kind embedding; then write {name} in the prompt",
    "vae": 'decode with it: limner -m CHECKPOINT --vae {path} "a red fox"',
    "upscaler": "enlarge with it: limner upscale IMAGE --with {path}",
}

if TYPE_CHECKING:
    from limner.models.singlefiles.convert import Converted


@click.command("convert")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="how the transformer's weights are stored (DALL-E mini only); default: as they are",
)
def command(*, source: Path, target: Path | None, dtype: str | None) -> None:
    """Write a pickled file or DALL-E mini as safetensors.

    SOURCE is a .ckpt, .pt, .pth or .bin file; it is read in a process of its own that runs none of its code, has no
    network where the system allows that, and is bounded in memory and time. TARGET is beside it if left out.

    Or SOURCE is a folder with the published Flax files of DALL-E mini, or min-dalle's tensors once they are
    safetensors; TARGET is then a new folder.
    """
    if not source.is_dir():
        if dtype is not None:
            raise InvalidRequest("dtype: files are converted as they are", field="dtype", hint="leave --dtype out")
        _file(source, target)
        return
    if target is None:
        raise InvalidRequest("TARGET is missing", hint=f"name a new folder: limner models convert {source} NEW-FOLDER")
    from limner.cli.sheet import size as in_units
    from limner.models.dalle.convert import convert

    say(f"converting {source} ...")
    made = convert(source, target, dtype)
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    out(str(made))
    say(f'{in_units(size)}; draw with it: limner -m {made} "a red fox"')


def _file(source: Path, target: Path | None) -> None:
    from limner.models.singlefiles.convert import convert

    say(f"converting {source} ...")
    made = convert(source, target)
    out(str(made.target))
    _told(made)


def _told(made: Converted) -> None:
    from limner.cli.sheet import size
    from limner.models.links.contents import kind_of_file

    kind = kind_of_file(made.target)
    tensors = "1 tensor" if made.tensors == 1 else f"{made.tensors:,} tensors"
    say(f"{WHAT[kind] if kind else 'weights'}: {tensors}, {size(made.target.stat().st_size)}")
    if kind is None:
        say(
            "it is no checkpoint, LoRA, embedding, VAE or upscaler that Limner knows: nothing uses it",
            warn=True,
        )
    else:
        say(NEXT[kind].format(path=shlex.quote(str(made.target)), name=made.target.stem))
    say(f"source {made.source_hash}")
    say(f"result {made.hash}")
    if made.left:
        some = ", ".join(made.left[:3]) + (", ..." if len(made.left) > 3 else "")
        say(f"left out, as they are no tensors: {some}")
    if not made.without_network:
        say(
            "this system could not take the network from the process that read it; its reader runs no code all the same"
        )
