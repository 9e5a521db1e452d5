"""``limner inspect``: what a picture's file says of how it was made, and whether that can be believed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from limner.cli.console import clean, homely, one_line, out
from limner.cli.inspect_model import is_model, show
from limner.cli.sheet import Fact, out_json, sheet
from limner.config import Settings
from limner.inspecting import marks, record
from limner.inspecting.file import PROGRAMS, Inspected, look
from limner.inspecting.file import facts as facts_of_file

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
    sheet(facts_of_file(inspected))
    sheet(marks.facts(inspected.marks), heading="marks")
    if (kept := inspected.found.record or inspected.kept) is not None:
        whose = "Limner's Record" if inspected.kept is None else "the library's Record"
        sheet(record.words(kept), heading=f"{whose}: asked")
        sheet(record.making(kept), heading=f"{whose}: drawn")
        sheet(record.birth(kept), heading=f"{whose}: birth")
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
    kept = found.record or inspected.kept
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
        "marks": marks.as_json(inspected.marks),
        "fields": dict(found.fields),
        "record": None if kept is None else kept.model_dump(mode="json", by_alias=True),
        "brief": None if found.brief is None else found.brief.model_dump(mode="json", by_alias=True),
        "texts": dict(found.raw),
        "notices": [notice.model_dump() for notice in found.notices],
    }
