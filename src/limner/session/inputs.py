"""The pictures a Request names: start picture and mask, kept in the library's input store under their hash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from limner.config import Settings
from limner.library.inputs import Inputs
from limner.types import Request


def given_pictures(request: Request, settings: Settings) -> Mapping[str, Path]:
    """Files of the request's pictures by their ``sha256:`` names. Raises ``PictureNotFound``."""
    names = [name for name in (request.init, request.mask) if name is not None]
    store = Inputs(settings.library_root / "inputs")
    return {name: store.open_input(name) for name in names}
