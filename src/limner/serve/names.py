"""Names that come over HTTP name things of a catalog, a hub or the library, never a place on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from limner.errors import InvalidRequest
from limner.types import Request

_NAME = re.compile(r"[\w.+-][\w .+:()\[\]&,'!-]*(/[\w.+-]+)?(@[\w./-]+)?")
FIELDS = ("model", "vae", "upscale", "hires_upscaler", "loras")
HINT = "over HTTP things are named: limner models, limner models link --list"


def refuse_paths(request: Request) -> None:
    """Refuse a Request in which a name is a path, or could be read as one here. Raises ``InvalidRequest``."""
    for field, name in _names(request):
        refuse_path(name, field)


def refuse_path(name: str, field: str) -> None:
    """Raises ``InvalidRequest`` where ``name`` is a path, or the name of a file or folder where the server runs."""
    bare = name.strip()
    outside = _NAME.fullmatch(bare) is None or bare.startswith(".") or ".." in bare or re.match(r"[A-Za-z]:", bare)
    if outside or _is_here(bare):
        raise InvalidRequest(f"{field}: {name[:60]!r} is no name", field=field, hint=HINT)


def _names(request: Request) -> Iterator[tuple[str, str]]:
    for field in FIELDS:
        value = getattr(request, field)
        for name in value if isinstance(value, tuple) else (value,):
            if isinstance(name, str):
                yield field, name


def _is_here(name: str) -> bool:
    try:
        return Path(name.partition("@")[0]).exists()
    except (OSError, ValueError):
        return True
