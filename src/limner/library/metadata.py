"""Read what a picture file says about itself: our Record first, else what other programs wrote.

Everything read is a stranger's claim: it is kept as text and numbers, never executed or used as a path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image
from pydantic import ValidationError

from limner.library import a1111, embed, foreign
from limner.library.a1111 import Value, infotext
from limner.library.files import opened
from limner.types import Brief, Notice, Record

__all__ = ["Found", "Source", "infotext", "of_image", "read"]

Source = Literal["limner", "a1111", "comfyui", "invokeai", "fooocus", "sdnext", "unknown", "none"]

_MAX_TEXT = 4 * 2**20  # longer texts are no picture's settings, and costly to parse


@dataclass(frozen=True, slots=True)
class Found:
    """What a file says. ``fields`` has prompt, negative, seed, steps, guidance, solver, width, height, model ... where
    they were said, and settings Limner has no word for under their own name; ``raw`` the texts as they stand.

    ``brief`` is what a file of ours has whose words were kept out of it. ``source`` is "unknown" where there is text
    that no reader understands, "none" where there is no text at all.
    """

    source: Source
    record: Record | None = None
    fields: Mapping[str, Value] = field(default_factory=dict)
    raw: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    brief: Brief | None = None


def read(path: Path) -> Found:
    """Read a PNG, JPEG or WebP file's metadata. Raises ``PictureNotFound``, ``UnreadablePicture``, ``StorageError``."""
    with opened(path) as image:
        return of_image(image)


def of_image(image: Image.Image) -> Found:
    """As ``read``, of an image already open. May raise what Pillow raises for damaged files."""
    raw = {name: text for name, text in _texts(image).items() if len(text) <= _MAX_TEXT}
    notices: tuple[Notice, ...] = ()
    if (text := raw.get(embed.PNG_RECORD)) is not None:
        record = _record(text)
        if record is not None:
            return Found("limner", record, fields_of(record), raw)
        if (brief := _brief(text)) is not None:
            return Found("limner", None, {"model": brief.model.name}, raw, brief=brief)
        notices = (Notice(code="record_unreadable", message="the Limner record in the file cannot be read"),)
    source, fields = _foreign(raw)
    return Found(source, None, foreign.cleaned(fields), raw, notices)


def fields_of(record: Record) -> dict[str, Value]:
    """A Record's main facts in the words of ``Found.fields``."""
    fields: dict[str, Value] = {"prompt": record.prompt}
    if record.negative:
        fields["negative"] = record.negative
    steps = max(len(record.recipe.levels) - 1, 0) or record.request.steps
    optional: Mapping[str, Value | None] = {
        "seed": record.seed.seed,
        "steps": steps,
        "guidance": record.recipe.guidance,
        "solver": record.recipe.solver,
        "schedule": record.request.schedule,
        "width": record.recipe.width,
        "height": record.recipe.height,
        "model": record.model.name,
    }
    return fields | {name: value for name, value in optional.items() if value is not None}


def _record(text: str) -> Record | None:
    try:
        return Record.model_validate_json(text)
    except ValidationError:
        return None


def _brief(text: str) -> Brief | None:
    try:
        return Brief.model_validate_json(text)
    except ValidationError:
        return None


def _foreign(raw: Mapping[str, str]) -> tuple[Source, dict[str, Value]]:
    if found := foreign.invokeai(raw):
        return "invokeai", found
    if found := foreign.fooocus(raw):
        return "fooocus", found
    text = raw.get("parameters") or raw.get("UserComment") or ""
    if a1111.is_infotext(text):
        found = a1111.parse(text)
        return _dialect(found), found
    if found := foreign.comfyui(raw):
        return "comfyui", found
    return ("unknown" if raw else "none"), {}


def _dialect(fields: Mapping[str, Value]) -> Source:
    version = str(fields.get("Version", ""))
    if version.startswith("limner"):
        return "limner"
    if version.startswith("Fooocus"):
        return "fooocus"
    return "sdnext" if fields.get("App") == "SD.Next" else "a1111"


def _texts(image: Image.Image) -> dict[str, str]:
    """Every text in the file by its name; EXIF's as ``UserComment``, our Record as ``limner`` in all formats."""
    texts = {str(name): value for name, value in image.info.items() if isinstance(value, str)}
    if image.format == "PNG":
        if not texts:  # chunks after the pixels are known only when the pixels are read
            image.load()
            texts = {name: str(value) for name, value in getattr(image, "text", {}).items()}
        return texts
    if comment := embed.user_comment(image):
        texts["UserComment"] = comment
    packet = image.info.get("xmp", b"")
    if isinstance(packet, bytes) and packet:
        texts["XMP"] = packet.decode("utf-8", "replace")
        record = embed.record_in_xmp(packet) or embed.record_in_xmp(embed.extended_xmp(getattr(image, "applist", [])))
        if record is not None:
            texts[embed.PNG_RECORD] = record
    return texts
