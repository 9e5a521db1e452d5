"""The folder that diffusers and transformers are shown: links to the files that were hashed, and nothing else.

So they read exactly what the Record names: no pickle beside it, no Python of the checkpoint's, no other precision, and
never the network.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limner.errors import StorageError
from limner.models.family import Files
from limner.models.inspect import read_header, read_json
from limner.models.pipelines.plan import CHECKER, checker_in
from limner.models.resolving.layout import INDEX

__all__ = ["only"]

VARIANT = re.compile(r"\.(fp16|bf16)(?=(-\d+-of-\d+)?\.safetensors$)")
SHARD = re.compile(r"(?P<stem>.+?)-\d+-of-\d+\.safetensors")


@contextmanager
def only(files: Files) -> Iterator[Path]:
    """A folder with these files alone, for the time of reading.

    Reduced precision loses its mark in the names, so that the libraries take what was chosen for each part; the index
    of shards is made anew from their own headers; a safety checker is taken off ``model_index.json``. Raises
    ``StorageError``, and ``ModelError`` for weights that are no whole safetensors files.
    """
    with tempfile.TemporaryDirectory(prefix="limner-") as made:
        folder = Path(made)
        shards: defaultdict[str, list[str]] = defaultdict(list)
        for name, path in files.paths.items():
            plain = plain_name(name)
            if shard := SHARD.fullmatch(plain):
                shards[shard["stem"]].append(plain)
            if name == INDEX or name.endswith(".index.json"):
                continue
            (folder / plain).parent.mkdir(parents=True, exist_ok=True)
            _link(path.resolve(), folder / plain)
        for stem, names in shards.items():
            (folder / f"{stem}.safetensors.index.json").write_text(_index_of(folder, names), "utf-8")
        if INDEX in files.paths:  # it decides no pixel of some families, and is not among their files
            (folder / INDEX).write_text(json.dumps(_without_checker(files)), "utf-8")
        yield folder


def plain_name(name: str) -> str:
    """``unet/model.fp16.safetensors`` as ``unet/model.safetensors``, and shards alike."""
    return VARIANT.sub("", name)


def _index_of(folder: Path, names: list[str]) -> str:
    """Which tensor is in which shard."""
    places = {tensor: Path(name).name for name in sorted(names) for tensor in read_header(folder / name).tensors}
    size = sum((folder / name).stat().st_size for name in names)
    return json.dumps({"metadata": {"total_size": size}, "weight_map": places})


def _without_checker(files: Files) -> dict[str, object]:
    index = dict(read_json(files.paths[INDEX]))
    return index | {CHECKER: [None, None], "requires_safety_checker": False} if checker_in(index) else index


def _link(path: Path, place: Path) -> None:
    for way in (os.symlink, os.link):
        try:
            way(path, place)
        except OSError:
            continue
        return
    raise StorageError(
        f"{path.name} could not be linked to a temporary folder",
        hint="on Windows, turn on developer mode, or keep models and temporary files on one drive",
    )
