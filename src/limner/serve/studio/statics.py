"""Static files, under an address that names their content: kept for ever by browsers, never stale.

They are read once, by a list made at the start, so that no path from a request reaches the disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

router = APIRouter(include_in_schema=False)
TYPES: Mapping[str, str] = {
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "png": "image/png",
    "webp": "image/webp",
    "txt": "text/plain",
    "webmanifest": "application/manifest+json",
}
FOREVER = {"cache-control": "public, max-age=31536000, immutable"}


def _found(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for each in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = f"{prefix}{each.name}"
        if each.is_dir():
            yield from _found(each, f"{name}/")
        elif each.name.rpartition(".")[2] in TYPES:
            yield name, each.read_bytes()


FILES: Mapping[str, bytes] = dict(_found(files("limner.serve.studio") / "static"))
DIGEST = hashlib.sha256(b"\0".join(name.encode() + b"\0" + data for name, data in FILES.items())).hexdigest()[:12]
BASE = f"/static/{DIGEST}"
"""In templates ``{{ static }}``: the folder ``static/``. Modules import each other by relative names below it."""


@router.get("/static/{digest}/{name:path}")
async def static(digest: str, name: str) -> Response:
    """A file; under an older digest too, but then not for ever."""
    data = FILES.get(name)
    if data is None:
        raise HTTPException(404)
    kept = FOREVER if digest == DIGEST else {"cache-control": "no-cache"}
    return Response(data, media_type=TYPES[name.rpartition(".")[2]], headers=kept)
