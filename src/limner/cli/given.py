"""Pictures given on the command line, by path: a Request names them by their hash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limner.session import Session

PICTURES = ("init", "mask")


def paths_in(values: Mapping[str, object]) -> dict[str, Path]:
    """The paths among a command's option values."""
    return {name: Path(given).expanduser() for name in PICTURES if isinstance(given := values.get(name), str)}


def taken_in(values: Mapping[str, object], *, keep: bool) -> dict[str, str]:
    """The pictures' names for a Request; with ``keep`` they are copied into the library's input store.

    Raises ``UnreadablePicture``, ``PictureNotFound``, ``StorageError``.
    """
    paths = paths_in(values)
    if not paths:
        return {}
    from limner.config import Settings
    from limner.session.inputs import take_in

    settings = Settings.load()
    return {name: take_in(path, settings, {}, keep=keep) for name, path in paths.items()}


def remember(session: Session, values: Mapping[str, object]) -> None:
    """Let a session that keeps nothing know where the pictures lie."""
    for path in paths_in(values).values():
        session.take_in(path)
