"""The pictures a Request names: start picture and mask, kept in the library's input store under their hash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from limner.canonical import tagged
from limner.config import Settings
from limner.errors import InvalidRequest
from limner.library.files import read_bytes
from limner.library.inputs import Inputs, checked
from limner.types import Request

PICTURES = ("init", "mask")
NEEDS: Mapping[str, tuple[str, ...]] = {
    "init": ("strength", "resize"),
    "mask": ("mask_blur", "mask_invert", "inpaint_fill", "inpaint_padding"),
    "hires": ("hires_strength", "hires_steps", "hires_upscaler"),
}
"""Fields that say nothing without another one."""


def given_pictures(request: Request, settings: Settings, known: Mapping[str, Path] | None = None) -> Mapping[str, Path]:
    """Files of the request's pictures by their ``sha256:`` names; ``known`` are files outside the store. Raises
    ``PictureNotFound``."""
    names = [name for name in (request.init, request.mask) if name is not None]
    store, known = Inputs(settings.library_root / "inputs"), known or {}
    return {name: known[name] if name in known else store.open_input(name) for name in names}


def take_in(path: Path, settings: Settings, known: dict[str, Path], *, keep: bool) -> str:
    """The ``sha256:`` name of a picture, for a Request. With ``keep`` it goes into the library's input store; else its
    place is remembered in ``known``, and it must stay as it is. Raises ``UnreadablePicture``, ``PictureNotFound``,
    ``StorageError``."""
    if keep:
        return Inputs(settings.library_root / "inputs").ingest(path)
    checked(path)
    name = tagged(read_bytes(path))
    known[name] = path
    return name


def refuse_idle(asked: Request) -> None:
    """Refuse a field that says something of another one that is not there. Raises ``InvalidRequest``."""
    for needed, fields in NEEDS.items():
        if getattr(asked, needed) is not None:
            continue
        for name in fields:
            if getattr(asked, name) != Request.model_fields[name].default:
                flag = needed.replace("_", "-")
                raise InvalidRequest(
                    f"{name}: it says something of {needed}, and there is none",
                    field=name,
                    hint=f"give --{flag} too, or leave --{name.replace('_', '-')} out",
                )
