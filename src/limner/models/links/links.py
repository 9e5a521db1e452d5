"""Models that lie elsewhere and are used there: folders of A1111, Forge, ComfyUI and InvokeAI, and single files.

Nothing is copied and nothing below a linked folder is ever written or deleted. The list is ``links.toml`` beside the
settings; Limner's own folders (``models/loras`` and so on, below its data folder) are always looked into, and first.
Torch-free.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

from filelock import FileLock

from limner.config import Settings
from limner.disk import storage_error, write_atomic
from limner.errors import ConfigError, InvalidRequest, ModelNotFound
from limner.models.hashes import Hashes
from limner.models.links.layouts import KINDS, OWN, TITLES, Kind, Layout, layout_of
from limner.models.links.names import asked, has_hash
from limner.models.links.scan import MAX_FILES, Entry, entries_of

__all__ = ["KINDS", "Entry", "Kind", "Layout", "Link", "Links"]

FILE = "links.toml"
PATIENCE = 10.0  # seconds for another program that writes the list
_HEAD = "# Models that Limner uses where they lie. Written by `limner models link` and `limner models unlink`.\n"


class Link(NamedTuple):
    """A linked folder or file. ``kind`` says what all of it is; ``None``: its folders and contents say it."""

    path: Path
    layout: Layout
    kind: Kind | None = None


class Links:
    """The linked models of one user. Cheap to make; nothing is read before it is asked for."""

    def __init__(self, settings: Settings) -> None:
        self.file = settings.home / FILE
        self._data = settings.data
        self._cache = settings.cache_root

    def links(self) -> tuple[Link, ...]:
        """What is linked, in the order it was. Raises ``ConfigError`` for a list that is not one."""
        try:
            said = tomllib.loads(self.file.read_text("utf-8")).get("link", [])
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self.file} cannot be read: {error}", hint="mend it, or delete it and link anew"
            ) from None
        if not isinstance(said, list):
            raise ConfigError(f"{self.file}: link is not a list", hint="each link is a table [[link]] with a path")
        return tuple(self._link(each) for each in said)

    def _link(self, said: object) -> Link:
        path = said.get("path") if isinstance(said, dict) else None
        kind = said.get("kind") if isinstance(said, dict) else None
        if not isinstance(path, str) or kind not in (None, *KINDS):
            raise ConfigError(
                f"{self.file}: not a link: {said!r:.100}",
                hint=f"it needs a path, and may have a kind: {', '.join(KINDS)}",
            )
        return Link(Path(path), layout_of(Path(path)), cast("Kind | None", kind))

    def add(self, path: Path, kind: Kind | None = None) -> Link:
        """Link a folder or file. Linking it again changes its kind.

        Raises ``ModelNotFound`` where there is none, ``InvalidRequest`` where nothing in it is a model,
        ``StorageError`` where the list cannot be written.
        """
        path = path.expanduser().resolve()
        if not path.exists():
            raise ModelNotFound(f"there is no folder or file {str(path)!r}", hint="check the path")
        link = Link(path, layout_of(path), kind)
        if next(entries_of(*link), None) is None:
            raise InvalidRequest(_nothing(link), hint=_NOTHING_HINT)
        with self._changing():
            self._write([*(each for each in self.links() if each.path != path), link])
        return link

    def remove(self, path: Path) -> Link:
        """Forget a link; its files stay. Raises ``ModelNotFound`` where it is not linked."""
        wanted = path.expanduser().resolve()
        with self._changing():
            links = self.links()
            found = next((each for each in links if each.path == wanted), None)
            if found is None:
                raise ModelNotFound(f"{str(wanted)!r} is not linked", hint="limner models link --list shows what is")
            self._write([each for each in links if each != found])
        return found

    def _write(self, links: list[Link]) -> None:
        write_atomic(self.file, (_HEAD + "".join(_toml(each) for each in links)).encode())

    def _changing(self) -> FileLock:
        """Held while the list is read and written: two programs that link at once both find their link in it."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, self.file) from error
        return FileLock(self.file.with_suffix(".lock"), timeout=PATIENCE)

    def own(self, kind: Kind) -> Path:
        """Limner's own folder for files of a kind; it may not exist yet."""
        return self._data / "models" / OWN[kind]

    def all(self, kind: Kind | None = None) -> Iterator[Entry]:
        """Everything of a kind (or of all): what lies in Limner's own folders, then what is linked."""
        for each in KINDS:
            if kind in (None, each):
                yield from entries_of(self.own(each), "folder", each)
        for link in self.links():
            yield from (entry for entry in entries_of(*link) if kind in (None, entry.kind))

    def entries(self, kind: Kind) -> Mapping[str, Path]:
        """Name to file (or diffusers folder). A name taken already is made longer by the folders it lies in."""
        return {name: entry.path for name, entry in self._named(kind).items()}

    def _named(self, kind: Kind) -> Mapping[str, Entry]:
        found: dict[str, Entry] = {}
        taken: set[str] = set()
        seen: set[Path] = set()
        for entry in self.all(kind):
            if entry.path in seen:
                continue
            seen.add(entry.path)
            inside = f"{entry.path.parent.name}/{entry.stem}"
            longer = (inside, f"{entry.path.parent.parent.name}/{inside}", entry.path.as_posix())
            free = [name for name in (*entry.names, *longer) if name.casefold() not in taken]
            found[free[0]] = entry
            taken.add(free[0].casefold())
        return found

    def find(self, kind: Kind, name: str) -> Path | None:
        """The file called ``name``, in any case, with or without its suffix and the folders it lies in.

        With A1111's hash behind it (``name [31e35c80fc]``) the file has to have that hash; one of 10 characters or more
        may take reading the whole file, the first time. ``None`` where there is none.
        """
        wanted = asked(name)
        hashes = Hashes(self._cache)
        named = self._named(kind)
        exact = [entry.path for each, entry in named.items() if each.casefold() == wanted.name]
        others = [e.path for e in named.values() if wanted.name in (each.casefold() for each in e.names)]
        for path in dict.fromkeys((*exact, *others)):
            if wanted.hash is None or has_hash(path, wanted.hash, hashes):
                return path
        return None


def _toml(link: Link) -> str:
    path = json.dumps(str(link.path), ensure_ascii=False).replace("\x7f", "\\u007f")
    kind = f'kind = "{link.kind}"\n' if link.kind else ""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(
            f"{link.path!s:.200} has a name that is not Unicode", hint="rename it, or link a folder above it"
        ) from None
    return f"\n[[link]]\npath = {path}\n{kind}"


_NOTHING_HINT = f"link the program's own folder or its models folder; say what a file is with --kind {'|'.join(KINDS)}"


def _nothing(link: Link) -> str:
    if link.layout == "file":
        return f"{link.path.name}: its contents do not say what kind of model it is"
    return f"no model was found in {link.path} ({TITLES[link.layout]}; the first {MAX_FILES:,} files were looked at)"
