"""The pictures a Request names: start picture and mask, kept in the library's input store under their hash."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    "morph_to": ("morph",),
    "morph": ("morph_to",),
    "variation": ("variation_seed",),
}
"""Fields that say nothing without another one."""
SHARES = frozenset({"morph", "morph_to", "variation"})  # no flags of their own: limner morph and limner vary give them


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


def idle(request: Request, asked: Collection[str], among: Collection[str]) -> Mapping[str, str]:
    """The fields ``among`` these that a request gives and that say something of one which is not in use, with that one.
    ``asked`` are the fields asked for by name: a share of 0 among them is in use, as it is where a morph begins."""
    found = {}
    for needed, fields in NEEDS.items():
        value, default = getattr(request, needed), Request.model_fields[needed].default
        if value is None or (value == default and needed not in asked):
            said = (name for name in fields if getattr(request, name) != Request.model_fields[name].default)
            found.update({name: needed for name in said if name in among})
    return found


def refuse_idle(asked: Request, merged: Request) -> None:
    """Refuse a field that says something of another one, which neither the request nor settings give. Raises
    ``InvalidRequest``."""
    said = [name for name in Request.model_fields if getattr(asked, name) != Request.model_fields[name].default]
    for name, needed in idle(merged, asked.model_fields_set, said).items():
        both = (needed, name) if needed in SHARES else (_flag(needed), _flag(name))
        raise InvalidRequest(
            f"{name}: it says something of {needed}, and there is none",
            field=name,
            hint=f"give {both[0]} too, or leave {both[1]} out",
        )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
