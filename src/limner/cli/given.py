"""Files given on the command line by path: a Request names pictures by their hash, and networks by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limner.config import Settings
    from limner.session import Session

PICTURES = ("init", "mask")
UPSCALERS = ("hires_upscaler", "upscale")


def paths_in(values: Mapping[str, object]) -> dict[str, Path]:
    """The pictures' files among a command's option values, which name files, or pictures of the library as ``last``.

    Raises ``PictureNotFound``.
    """
    return {name: picture_file(given) for name in PICTURES if isinstance(given := values.get(name), str)}


def picture_file(given: str) -> Path:
    """The file of that name, or of the library's picture called so (an id, ``last``, ``@2``). Raises
    ``PictureNotFound``, for what looks like a file's name as that."""
    path = Path(given).expanduser()
    if path.is_file() or path.suffix or len(path.parts) > 1:
        return path
    from limner.config import Settings
    from limner.library.store import Library

    return Library(Settings.load().library_root).get(given).path


def taken_in(values: Mapping[str, object], *, keep: bool) -> dict[str, str]:
    """What a Request calls the files among a command's option values.

    Pictures are copied into the library's input store with ``keep``; an upscaler given by path is linked. Raises
    ``UnreadablePicture``, ``PictureNotFound``, ``StorageError``, ``ModelError``.
    """
    paths = paths_in(values)
    upscalers = {name: given for name in UPSCALERS if isinstance(given := values.get(name), str)}
    if not paths and not upscalers:
        return {}
    from limner.config import Settings
    from limner.session.inputs import take_in

    settings = Settings.load()
    taken = {name: take_in(path, settings, {}, keep=keep) for name, path in paths.items()}
    return taken | {name: upscaler_name(given, settings) for name, given in upscalers.items()}


def upscaler_name(given: str, settings: Settings) -> str:
    """The name of an upscaler that may be given by path (``FILE`` or ``FILE:FACTOR``): such a file is linked.

    Raises ``ModelError``, ``StorageError``, ``InvalidRequest``.
    """
    from limner.models.upscaling.recognise import Named, recognise

    asked = Named.of(given)
    path = Path(asked.name).expanduser()
    if not path.is_file():
        return given
    recognise(path)
    from limner.cli.console import say
    from limner.models.hashes import Hashes
    from limner.models.links.links import Links

    links, path = Links(settings), path.resolve()
    name = path.stem
    if links.find("upscaler", name) != path:
        links.add(path, "upscaler")
        say(f"linked: the upscaler {name} ({path})", dim=True)
    if links.find("upscaler", name) != path:  # another file has that name
        name += f" [{Hashes(settings.cache_root).of([path])[path].partition(':')[2][:10]}]"
    return name if asked.factor is None else f"{name}:{asked.factor:g}"


def remember(session: Session, values: Mapping[str, object]) -> None:
    """Let a session that keeps nothing know where the pictures lie."""
    for path in paths_in(values).values():
        session.take_in(path)
