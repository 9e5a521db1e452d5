"""The adapters that lie on this machine, by name and by hash: in Limner's own folders and in those that are linked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from limner.canonical import content_hash
from limner.config import Settings
from limner.errors import LimnerError, ModelNotFound, UnknownName, UnsafeFile
from limner.models.adapters.embedding import read_embedding
from limner.models.adapters.lora_file import PEFT_CONFIG, PEFT_FILE
from limner.models.hashes import Hashes
from limner.models.links.layouts import Kind
from limner.models.links.links import Links
from limner.models.links.names import asked, has_hash
from limner.models.links.scan import PICKLED
from limner.models.singlefiles.lone import convert_hint

TITLES: Mapping[str, str] = {"lora": "LoRA", "embedding": "textual inversion", "vae": "VAE"}
SHORT = 10  # characters of a hash that name a file well enough


class Shelf:
    """Looks each kind up once; make one for each request."""

    def __init__(self, settings: Settings) -> None:
        self._links = Links(settings)
        self._hashes = Hashes(settings.cache_root)

    def find(self, kind: Kind, name: str, *, field: str) -> Path:
        """The file called ``name``, or ``name [HASH]``: then one of that hash, whatever its name has become.

        Raises ``UnknownName`` with near names and the folders looked into, ``ModelNotFound`` for a hash that is not
        here, ``UnsafeFile`` for a pickle.
        """
        wanted = asked(name)
        path = self._links.find(kind, name)
        if path is None and wanted.hash is not None and len(wanted.hash) >= SHORT:
            path = self._by_hash(kind, wanted.hash)
            if path is None:
                raise _missing(kind, wanted.name, wanted.hash)
        if path is None:
            raise self._unknown(kind, name, field)
        if path.suffix.lower() in PICKLED:
            raise UnsafeFile(
                f"the {TITLES[kind]} {name!r} is here as a pickle only, which can run code when it is opened",
                hint=convert_hint(path),
            )
        return path

    def hash_of(self, path: Path) -> str:
        """Tagged hash of what an adapter's file says; peft keeps a part of that in a file beside it."""
        config = path.parent / PEFT_CONFIG
        if path.name == PEFT_FILE and config.is_file():
            hashed = self._hashes.of([path, config])
            return content_hash([hashed[path], hashed[config]])
        return self._hashes.of([path])[path]

    def of_hash(self, kind: Kind, name: str, tagged: str) -> Path:
        """The file with that hash, looked for under its name first. Raises ``ModelNotFound``."""
        by_name = self._links.find(kind, name)
        if by_name is not None and by_name.is_file() and self.hash_of(by_name) == tagged:
            return by_name
        found = self._by_hash(kind, tagged.partition(":")[2])
        if found is None:
            raise _missing(kind, name, tagged.partition(":")[2])
        return found

    @cached_property
    def embeddings(self) -> Mapping[str, Path]:
        """Every textual inversion by its file's name."""
        return {name: path for name, path in self._links.entries("embedding").items() if path.is_file()}

    def words(self, *, tokens: bool) -> Mapping[str, str]:
        """Every word that is a textual inversion to the name of its file, which is a word too. With ``tokens`` the
        files are looked into for words such as ``<cat-toy>``."""
        words = {name: name for name in self.embeddings}
        for name, path in self.embeddings.items() if tokens else ():
            if (token := _token(path)) is not None:
                words.setdefault(token, name)
        return words

    def _by_hash(self, kind: Kind, short: str) -> Path | None:
        files = (entry.path for entry in self._links.all(kind) if entry.path.is_file())
        return next((path for path in files if path.suffix.lower() not in PICKLED and self._has(path, short)), None)

    def _has(self, path: Path, short: str) -> bool:
        return has_hash(path, short, self._hashes) or self.hash_of(path).partition(":")[2].startswith(short)

    def _unknown(self, kind: Kind, name: str, field: str) -> UnknownName:
        known = list(self._links.entries(kind))
        linked = self._links.links()
        folders = [str(self._links.own(kind)), *(str(link.path) for link in linked if link.layout != "file")]
        if files := sum(link.layout == "file" for link in linked):
            folders.append(f"{files} linked file{'s' if files > 1 else ''}")
        near = difflib.get_close_matches(asked(name).name, known, n=3, cutoff=0.5)
        plain, colon, weight = name.rpartition(":")
        if kind == "lora" and colon and self._links.find(kind, plain) is not None:
            said = f"write {plain}:0.8; {weight!r} is no number"
            return UnknownName(TITLES[kind], name, known, field=field, hint=said)
        guess = f"did you mean {' or '.join(near)}? " if near else ""
        hint = f"{guess}looked in {', '.join(folders)}; limner models link FILE-OR-FOLDER adds one"
        return UnknownName(TITLES[kind], name, known, field=field, hint=hint)


def _token(path: Path) -> str | None:
    try:
        return read_embedding(path).token
    except LimnerError:  # said when the file is asked for by its name
        return None


def _missing(kind: Kind, name: str, digest: str) -> ModelNotFound:
    return ModelNotFound(
        f"the {TITLES[kind]} {name!r} with the hash {digest[:SHORT]} is not on this machine",
        hint="link the folder it lies in: limner models link FOLDER",
    )
