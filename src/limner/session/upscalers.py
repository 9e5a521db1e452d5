"""The upscaling networks that a Request names, and their files."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from limner.config import Settings
from limner.errors import MismatchedWeights, UnknownName
from limner.models.hashes import Hashes
from limner.models.latent.edit_plan import LATENT_UPSCALERS
from limner.models.links.links import Links
from limner.models.upscaling.recognise import LANCZOS, Named, recognise
from limner.types import Adapter, Request

KIND: Literal["upscaler"] = "upscaler"


def named_upscalers(
    request: Request, settings: Settings, pinned: Sequence[Adapter] | None = None
) -> tuple[tuple[Adapter, ...], Mapping[str, Path]]:
    """The networks a request names, and their files by hash. With ``pinned`` adapters, a Record's, they are the ones
    among them.

    Raises ``UnknownName``, ``UnsafeFile`` for a pickle, ``MismatchedWeights`` for what is no upscaler.
    """
    names = dict.fromkeys(_names(request))
    same = [each for each in pinned or () if each.kind == KIND and each.name in names]
    if len(same) == len(names):
        return tuple(same), upscaler_files(same, settings)
    found = {name: find_upscaler(name, settings, _field(request, name)) for name in names}
    for path in found.values():
        recognise(path)
    hashes = Hashes(settings.cache_root).of(found.values())
    adapters = tuple(Adapter(kind=KIND, name=name, hash=hashes[path]) for name, path in found.items())
    return adapters, {hashes[path]: path for path in found.values()}


def _names(request: Request) -> Iterator[str]:
    if request.hires is not None and request.hires_upscaler not in (None, LANCZOS, *LATENT_UPSCALERS):
        yield str(request.hires_upscaler)
    if request.upscale is not None and (name := Named.of(request.upscale).name) != LANCZOS:
        yield name


def _field(request: Request, name: str) -> str:
    return "hires_upscaler" if request.hires is not None and name == request.hires_upscaler else "upscale"


def find_upscaler(name: str, settings: Settings, field: str = "upscale") -> Path:
    """The file of an upscaler by name; ``field`` is the Request's that names it. Raises ``UnknownName``."""
    links = Links(settings)
    if (found := links.find(KIND, name)) is not None:
        return found
    own = LATENT_UPSCALERS if field == "hires_upscaler" else ()
    linked = tuple(links.entries(KIND))
    known = (*linked, LANCZOS, *own)
    near = difflib.get_close_matches(name.casefold(), known, n=3, cutoff=0.5)
    hint = f"put its safetensors file into {links.own(KIND)}, or link the folder it lies in: limner models link FOLDER"
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif not linked:
        hint = f"known: {', '.join(known)}; for another {hint}"
    raise UnknownName("upscaler", name, known, field=field, hint="" if linked and not near else hint)


def upscaler_files(adapters: Sequence[Adapter], settings: Settings) -> Mapping[str, Path]:
    """Where the upscalers of a Plan made elsewhere lie here, by hash. Raises ``MismatchedWeights``."""
    wanted = [each for each in adapters if each.kind == KIND]
    if not wanted:
        return {}
    here = Links(settings).entries(KIND).values()
    by_hash = {tag: path for path, tag in Hashes(settings.cache_root).of(here).items()}
    for each in wanted:
        if each.hash not in by_hash:
            raise MismatchedWeights(
                f"the upscaler {each.name} of the plan is not here", hint="bring the file it was made with, and link it"
            )
    return {each.hash: by_hash[each.hash] for each in wanted}
