"""``limner models convert``: an older model's files as safetensors, which load at once and cannot run code."""

from __future__ import annotations

from pathlib import Path

import click

from limner.cli.console import out, say


@click.command("convert")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="how the transformer's weights are stored; default: as they are",
)
def command(*, source: Path, target: Path, dtype: str | None) -> None:
    """Write the DALL-E mini in the folder SOURCE as safetensors to the new folder TARGET.

    SOURCE holds the published Flax files, or min-dalle's tensors once they are safetensors.
    """
    from limner.models.dalle_convert import convert

    say(f"converting {source} ...")
    made = convert(source, target, dtype)
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    out(str(made))
    say(f'{size / 1e9:.2f} GB; draw with it: limner -m {made} "a red fox"')
