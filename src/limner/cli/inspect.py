"""``limner inspect``: what a picture's file says of how it was made, and whether that can be believed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from limner.cli import inspect_record
from limner.cli.console import clean, homely, one_line, out
from limner.cli.inspect_file import Inspected, look
from limner.cli.inspect_model import is_model, show
from limner.cli.sheet import Fact, out_json, sheet, size
from limner.config import Settings
from limner.library.metadata import Source

PROGRAMS: dict[Source, str] = {
    "limner": "Limner",
    "a1111": "A1111's web UI, or a program that writes as it does",
    "comfyui": "ComfyUI",
    "invokeai": "InvokeAI",
    "fooocus": "Fooocus",
    "sdnext": "SD.Next",
}
_PIXELS = {
    "intact": "intact: exactly those that were drawn",
    "altered": "ALTERED: not those that the Record was written for",
    "lossy": "cannot be compared: {format} does not keep pixels exactly",
    "damaged": "DAMAGED: they cannot be decoded",
}
_TEXT_SHOWN = 400


@click.command("inspect")
@click.argument("picture", metavar="IMAGE")
@click.option("--json", "json_", is_flag=True, help="as JSON, with every text in the file")
def command(picture: str, *, json_: bool) -> None:
    """What a picture's file says of how it was made: Limner's Record, other programs' words, its marks.

    IMAGE is a file, or a picture of the library: its id, "last", or @2 for the one before the last. Of a LoRA, a
    textual inversion or a VAE: what it is for, and how it was trained.
    """
    path = locate(picture)
    if is_model(path):
        show(path, json_=json_)
        return
    inspected = look(path)
    if json_:
        out_json(_as_json(inspected))
        return
    out(homely(clean(str(path))) if sys.stdout.isatty() else clean(str(path)))
    sheet(_file(inspected))
    if inspected.found.record is not None:
        sheet(inspect_record.words(inspected.found.record), heading="Limner's Record: asked")
        sheet(inspect_record.making(inspected.found.record), heading="Limner's Record: drawn")
        sheet(inspect_record.birth(inspected.found.record), heading="Limner's Record: birth")
    else:
        sheet(inspected.found.fields.items(), heading=f"as {PROGRAMS.get(inspected.found.source, 'the file')} says")
    sheet(_other_texts(inspected), heading="texts in the file")


def locate(picture: str) -> Path:
    """A file, or the file of a picture in the library by id, ``last`` or ``@2``. Raises ``PictureNotFound``."""
    path = Path(picture).expanduser()
    if path.is_file():
        return path
    from limner.library.store import Library

    return Library(Settings.load().library_root).get(picture).path


def _file(inspected: Inspected) -> Iterator[Fact]:
    """The verdicts, first of all."""
    found, record = inspected.found, inspected.found.record
    yield "file", f"{inspected.format.upper()}, {inspected.width}x{inspected.height}, {size(inspected.bytes)}"
    yield "made by", _made_by(inspected)
    if record is not None:
        yield "pixels", _PIXELS[inspected.pixels or "lossy"].format(format=inspected.format.upper())
        yield (
            "record",
            "agrees with itself" if inspected.consistent else "EDITED: its hashes are not those of its words",
        )
    elif inspected.pixels == "damaged":
        yield "pixels", _PIXELS["damaged"]
    yield "marked", "as made by a trained model (IPTC)" if inspected.marked else "not marked as made by a model (IPTC)"
    if record is None and "prompt" not in found.fields:
        yield "recipe", "none found: how it was made cannot be read from it"
    yield "note", "\n".join(notice.message for notice in found.notices)


def _made_by(inspected: Inspected) -> str:
    source = inspected.found.source
    if source == "none":
        return "not said: the file carries no text"
    if source == "unknown":
        return "not known: there is text that Limner does not understand"
    said = PROGRAMS[source]
    if source == "limner":
        return said if inspected.found.record is not None else f"{said}, says its A1111 text; the Record is gone"
    return f"{said} (says the file)"


def _other_texts(inspected: Inspected) -> Iterator[Fact]:
    """Every text as it stands, cut short; our own Record and the source type were shown already."""
    for name, text in inspected.found.raw.items():
        if name not in ("limner", "XML:com.adobe.xmp", "XMP"):
            label = "A1111 text" if name in ("parameters", "UserComment") else one_line(name, 30)
            yield label, _short(text)


def _short(text: str) -> str:
    if len(text) <= _TEXT_SHOWN:
        return text
    return f"{text[:_TEXT_SHOWN]}…\n({len(text):,} characters; --json has them all)"


def _as_json(inspected: Inspected) -> dict[str, object]:
    found = inspected.found
    return {
        "path": str(inspected.path),
        "format": inspected.format,
        "width": inspected.width,
        "height": inspected.height,
        "bytes": inspected.bytes,
        "source": found.source,
        "pixels": inspected.pixels,
        "record_consistent": inspected.consistent,
        "marked_as_generated": inspected.marked,
        "fields": dict(found.fields),
        "record": None if found.record is None else found.record.model_dump(mode="json", by_alias=True),
        "texts": dict(found.raw),
        "notices": [notice.model_dump() for notice in found.notices],
    }
