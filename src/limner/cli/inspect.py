"""``limner inspect``: what a picture's file says of how it was made, and whether that can be believed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from limner.cli import inspect_marks, inspect_record
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
    inspected = of_library(picture, look(path))
    if json_:
        out_json(_as_json(inspected))
        return
    out(homely(clean(str(path))) if sys.stdout.isatty() else clean(str(path)))
    sheet(_file(inspected))
    sheet(inspect_marks.facts(inspected.marks), heading="marks")
    if (record := inspected.found.record or inspected.kept) is not None:
        whose = "Limner's Record" if inspected.kept is None else "the library's Record"
        sheet(inspect_record.words(record), heading=f"{whose}: asked")
        sheet(inspect_record.making(record), heading=f"{whose}: drawn")
        sheet(inspect_record.birth(record), heading=f"{whose}: birth")
    else:
        sheet(inspected.found.fields.items(), heading=f"as {PROGRAMS.get(inspected.found.source, 'the file')} says")
    sheet(_other_texts(inspected), heading="texts in the file")


def of_library(picture: str, inspected: Inspected) -> Inspected:
    """With the library's Record, where the picture is named by its id and its file says less."""
    if inspected.found.record is not None or Path(picture).expanduser().is_file():
        return inspected
    from limner.library.store import Library

    return replace(inspected, kept=Library(Settings.load().library_root).get(picture).record)


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
    elif inspected.pixels is not None:
        yield "pixels", _PIXELS[inspected.pixels].format(format=inspected.format.upper())
    if inspected.marks.frames > 1:
        yield "frames", f"{inspected.marks.frames}, an animation: pixels and watermark are the first one's"
    if found.brief is not None:
        yield (
            "record",
            f"kept out of the file (metadata minimal): the library it was drawn into has {found.brief.image_key}",
        )
    if record is None and found.brief is None and "prompt" not in found.fields:
        yield "recipe", "none found: how it was made cannot be read from it"
    yield "note", "\n".join(notice.message for notice in found.notices)


def _made_by(inspected: Inspected) -> str:
    source, signed = inspected.found.source, inspected.marks.credentials
    if source in ("none", "unknown") and signed.generator:
        return f"{signed.generator}, says its manifest" + ("" if signed.good else " (which is not to be believed)")
    if source == "none":
        return "not said: the file carries no text"
    if source == "unknown":
        return "not known: there is text that Limner does not understand"
    said = PROGRAMS[source]
    if source == "limner":
        return (
            said
            if inspected.found.brief is not None or inspected.found.record is not None
            else f"{said}, says its A1111 text; the Record is gone"
        )
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
    record = found.record or inspected.kept
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
        "marks": inspect_marks.as_json(inspected.marks),
        "fields": dict(found.fields),
        "record": None if record is None else record.model_dump(mode="json", by_alias=True),
        "brief": None if found.brief is None else found.brief.model_dump(mode="json", by_alias=True),
        "texts": dict(found.raw),
        "notices": [notice.model_dump() for notice in found.notices],
    }
