"""Textual inversions: vectors that stand for a word (Gal et al. 2022, arXiv:2208.01618). Torch-free but for
``vectors``.

Read as people have them: A1111's ``emb_params``, XL's ``clip_l`` and ``clip_g``, diffusers' ``learned_embeds`` (one
tensor named after its word), an old A1111 file's ``string_to_param`` table saved as safetensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from limner.errors import CorruptFile, MismatchedWeights
from limner.models.inspect import TensorInfo, read_header

if TYPE_CHECKING:
    from torch import Tensor

MAX_VECTORS = 1000
FIRST, SECOND = "text_encoder", "text_encoder_2"
FAMILIES: Mapping[int, str] = {
    768: "Stable Diffusion 1",
    1024: "Stable Diffusion 2",
    1280: "the refiner of Stable Diffusion XL",
}
_NAMED: Mapping[str, str] = {"clip_l": FIRST, "clip_g": SECOND}
_OLD = re.compile(r"^string_to_param(?:\.|\[)?")
_TOKEN = re.compile(r"<[^<>]+>")
_FLOATS = ("F32", "F16", "BF16", "F64")


@dataclass(frozen=True, slots=True)
class Embedding:
    """``tables``: for each text encoder (a part of a checkpoint) the tensor's name and its width, of ``count`` vectors
    each. A file for one encoder has only the first."""

    path: Path
    count: int
    tables: Mapping[str, tuple[str, int]]

    @property
    def token(self) -> str | None:
        """The word that diffusers' trainers name the tensor after, ``<cat-toy>``; ``None`` where the file's name is
        the word."""
        key = self.tables[FIRST][0] if FIRST in self.tables else ""
        return key if _TOKEN.fullmatch(key) else None

    @property
    def made_for(self) -> str:
        widths = [width for _, width in self.tables.values()]
        if len(widths) > 1:
            return f"Stable Diffusion XL (widths {' and '.join(map(str, widths))})"
        return f"{FAMILIES.get(widths[0], 'another text encoder')} (width {widths[0]})"

    def refuse_other(self, encoders: Mapping[str, int], word: str, model: str) -> None:
        """Raises ``MismatchedWeights`` unless there is a table of the right width for each of a model's ``encoders``,
        given as part to width. XL's refiner has the second encoder only."""
        widths = {part: width for part, (_, width) in self.tables.items()}
        if encoders == {part: width for part, width in widths.items() if part in encoders} and (
            len(widths) == len(encoders) or FIRST not in encoders
        ):
            return
        theirs = " and ".join(str(width) for width in encoders.values())
        raise MismatchedWeights(
            f"the textual inversion {word!r} is for {self.made_for}, and {model} reads words of width {theirs}",
            hint=f"leave the word out, use one made for {model}, or rename {self.path.name}",
        )


def read_embedding(path: Path) -> Embedding:
    """Read the header. Raises ``ModelError``: a pickle (with the way to convert it), damaged, no textual inversion."""
    stat = path.stat() if path.is_file() else None
    return _read(path, None if stat is None else (stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=256)
def _read(path: Path, _stamp: tuple[int, int] | None) -> Embedding:
    tensors = {name: info for name, info in read_header(path).tensors.items() if info.dtype in _FLOATS}
    chosen = _chosen(tensors)
    counts = {_count(info) for info in chosen.values()}
    if len(counts) != 1 or not 0 < max(counts) <= MAX_VECTORS:
        shapes = ", ".join("x".join(map(str, info.shape)) for info in list(tensors.values())[:3])
        raise MismatchedWeights(
            f"{path.name} is no textual inversion: {len(tensors)} tensors of shapes {shapes or 'none'}",
            hint="it holds one table of vectors for each text encoder",
        )
    tables = {part: (key, tensors[key].shape[-1]) for key, part in _parts(chosen)}
    return Embedding(path, counts.pop(), tables)


def _chosen(tensors: Mapping[str, TensorInfo]) -> Mapping[str, TensorInfo]:
    if named := {name: tensors[name] for name in _NAMED if name in tensors}:
        return named
    if "emb_params" in tensors:
        return {"emb_params": tensors["emb_params"]}
    old = {name: info for name, info in tensors.items() if _OLD.match(name)}
    found = old or tensors
    return found if len(found) == 1 else {}


def _parts(chosen: Mapping[str, TensorInfo]) -> Iterator[tuple[str, str]]:
    for name in chosen:
        yield name, _NAMED.get(name, FIRST)


def _count(info: TensorInfo) -> int:
    return {1: 1, 2: info.shape[0]}.get(len(info.shape), 0)


def vectors(path: Path, part: str) -> Tensor:
    """The vectors ``[count, width]`` for an encoder, float32 on the CPU.

    Raises ``MismatchedWeights`` where it has none, ``CorruptFile`` where they are not finite or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    embedding = read_embedding(path)
    if part not in embedding.tables:
        raise MismatchedWeights(f"{path.name} is for {embedding.made_for}", hint="it has nothing for this model")
    key, width = embedding.tables[part]
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            found: Tensor = file.get_tensor(key).float().reshape(-1, width)
    except (SafetensorError, OSError) as error:
        raise CorruptFile(f"{path.name} cannot be read: {error}", hint="download it again") from error
    if not found.isfinite().all():
        raise CorruptFile(f"{path.name} holds values that are not finite", hint="download it again")
    return found
