"""Named lists of text for ``__name__`` in prompts: from a folder of .txt files, or given as lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from limner.errors import InvalidRequest, UnknownName
from limner.prompts.template import Option, entry
from limner.prompts.template import names as named
from limner.prompts.text import read_text

LARGEST_FILE: Final = 10_000_000  # bytes
_PART = re.compile(r"[\w\-][\w\-. ]*")


class Wildcards:
    """Lists by name. In a folder, ``animals/cats.txt`` is the list ``animals/cats``: an entry a line.

    Blank lines and lines that begin with ``#`` are skipped. ``lists`` come before files of the same name. A file is
    read once, when it is first asked for. A missing folder holds no lists.
    """

    def __init__(self, folder: Path | None = None, lists: Mapping[str, Iterable[str]] | None = None) -> None:
        self._folder = folder
        self._lists = {name: tuple(entries) for name, entries in (lists or {}).items()}
        self._options: dict[str, tuple[Option, ...]] = {}
        self._includes: dict[str, tuple[str, ...]] = {}

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        found = set(self._lists)
        if self._folder is not None:
            found.update(
                file.relative_to(self._folder).with_suffix("").as_posix() for file in self._folder.rglob("*.txt")
            )
        return tuple(sorted(found))

    def entries(self, name: str) -> tuple[str, ...]:
        """The entries of ``name``, in the order of the file.

        Raises UnknownName (kind "wildcard"), or InvalidRequest for a name that leaves the folder, a list without
        entries, or a file that cannot be read.
        """
        if name not in self._lists:
            self._lists[name] = self._read(name)
        if not self._lists[name]:
            raise InvalidRequest(f"the wildcard {name!r} has no entries", field="prompt", hint="put one on each line")
        return self._lists[name]

    def options(self, name: str) -> tuple[Option, ...]:
        """The entries of ``name``, parsed; kept, since a list may be long and a batch asks again and again."""
        if name not in self._options:
            self._options[name] = tuple(entry(line) for line in self.entries(name))
        return self._options[name]

    def includes(self, name: str) -> tuple[str, ...]:
        """The wildcards that the entries of ``name`` name."""
        if name not in self._includes:
            found = (inner for option in self.options(name) for inner in named(option.parts))
            self._includes[name] = tuple(dict.fromkeys(found))
        return self._includes[name]

    def _read(self, name: str) -> tuple[str, ...]:
        # Each part must begin with a letter, digit or hyphen: no "..", no absolute path, no hidden file.
        if not all(_PART.fullmatch(part) for part in name.split("/")):
            raise InvalidRequest(
                f"{name!r} is not the name of a wildcard", field="prompt", hint="names stay inside the wildcards folder"
            )
        if self._folder is None:
            raise self._unknown(name)
        file = self._folder / f"{name}.txt"
        if not file.is_file():
            raise self._unknown(name)
        if not file.resolve().is_relative_to(self._folder.resolve()):
            raise InvalidRequest(
                f"the wildcard {name!r} is a link out of {self._folder}", field="prompt", hint="copy the file instead"
            )
        lines = (line.strip() for line in read_text(file, limit=LARGEST_FILE, what="wildcard file").split("\n"))
        return tuple(line for line in lines if line and not line.startswith("#"))

    def _unknown(self, name: str) -> UnknownName:
        known = self.names()
        hint = "" if known else r"no wildcards were given; write \_\_ for the characters themselves"
        return UnknownName("wildcard", name, known, field="prompt", hint=hint)
