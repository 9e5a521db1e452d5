"""Walking through a folder of models: each file or diffusers folder in it, what it is and what it may be called.

Torch-free. Folders are listed anew only when their modification time has changed. Links are followed, each folder once;
depth and number of files are bounded, so that a link to a whole disk ends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from limner.models.links.contents import kind_of_file
from limner.models.links.layouts import FOLDERS, Kind, Layout, invoke_models, roots

SAFE = (".safetensors", ".sft")
PICKLED = (".ckpt", ".pt", ".pth", ".bin")
SUFFIXES = (*SAFE, *PICKLED)
INDEX = "model_index.json"
MAX_DEPTH = 8
MAX_FILES = 20_000
FRESH_NS = 2_000_000_000  # a folder changed this lately may change again within its file system's clock tick


@dataclass(frozen=True, slots=True)
class Entry:
    """A model file or diffusers folder. ``name`` is relative to the folder it was found in, without suffix, with ``/``;
    ``title`` is what its own program calls it, where that is something else."""

    kind: Kind
    name: str
    path: Path
    title: str = ""

    @property
    def stem(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def names(self) -> tuple[str, ...]:
        """What it can be asked for by, the shortest first."""
        return tuple(dict.fromkeys(name for name in (self.title, self.stem, self.name) if name))


@dataclass(slots=True)
class _Walk:
    """One walk's state: folders entered, by their real paths, and how many files may still come."""

    seen: set[str]
    left: int


def entries_of(path: Path, layout: Layout, kind: Kind | None = None) -> Iterator[Entry]:
    """What is below ``path``; ``kind`` says what all of it is, where somebody knows. Ends after ``MAX_FILES`` files."""
    if layout == "file" or path.is_file():
        if (is_a := kind or kind_of_file(path)) is not None and path.is_file():
            yield Entry(is_a, without_suffix(path.name), path)
        return
    listed = invoke_models(path) if layout == "invokeai" else {}
    for place, (is_a, title) in listed.items():
        yield Entry(is_a, without_suffix(place.name), place, title)
    walk = _Walk({str(place) for place in listed}, MAX_FILES)
    for root, said in roots(path, layout):
        yield from _below(root, "", kind or said or FOLDERS.get(root.name.lower()), 0, walk)


def _below(folder: Path, prefix: str, kind: Kind | None, depth: int, walk: _Walk) -> Iterator[Entry]:
    real = os.path.realpath(folder)
    if real in walk.seen or str(folder) in walk.seen or depth > MAX_DEPTH:
        return
    walk.seen.add(real)
    folders, files = _listing(folder)
    if INDEX in files and kind in (None, "checkpoint"):
        yield Entry("checkpoint", prefix.rstrip("/") or folder.name, folder)
        return
    for name in files:
        walk.left -= 1
        if walk.left < 0:
            return
        if name.lower().endswith(SUFFIXES) and str(folder / name) not in walk.seen:
            yield from _file(folder / name, prefix, kind, files)
    for name in folders:
        known = FOLDERS.get(name.lower())
        if kind or known or name.lower() not in FOLDERS:
            yield from _below(folder / name, f"{prefix}{name}/", kind or known, depth + 1, walk)


def _file(path: Path, prefix: str, kind: Kind | None, beside: tuple[str, ...]) -> Iterator[Entry]:
    """The entry of a file, but for pickles whose safetensors twin lies beside them."""
    stem = without_suffix(path.name)
    if path.suffix.lower() in PICKLED and any(stem + suffix in beside for suffix in SAFE):
        return
    if kind == "checkpoint" and stem.lower().endswith(".vae"):  # A1111 keeps a checkpoint's own VAE beside it
        kind = "vae"
    if (is_a := kind or kind_of_file(path)) is not None:
        yield Entry(is_a, prefix + stem, path)


def without_suffix(name: str) -> str:
    """A file's name without a model file's suffix; as it is where it has none of those."""
    lower = name.lower()
    return next((name[: -len(suffix)] for suffix in SUFFIXES if lower.endswith(suffix)), name)


def _listing(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        changed = folder.stat().st_mtime_ns
    except OSError:
        return (), ()
    if time.time_ns() - changed < FRESH_NS:
        return _read(str(folder))
    return _remembered(str(folder), changed)


@lru_cache(maxsize=4096)
def _remembered(folder: str, _changed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return _read(folder)


def _read(folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of (folders, files) in a folder, sorted, those that begin with a dot left out; empty if unreadable."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as found:
            for each in found:
                if not each.name.startswith("."):
                    (folders if each.is_dir() else files).append(each.name)
    except OSError:
        return (), ()
    return tuple(sorted(folders)), tuple(sorted(files))
