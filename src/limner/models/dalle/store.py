"""Stored arrays of a DALL-E mini checkpoint by name, whichever layout they are in, read without holding the file."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limner.errors import MismatchedWeights
from limner.models.dalle.names import Source
from limner.models.inspect import read_header
from limner.models.msgpack import FlaxFile, Leaf

Shapes = Mapping[str, tuple[int, ...]]
STORED = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # safetensors' names
KINDS = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2"}  # numpy's
AT_ONCE = 8 << 20  # bytes copied at a time


class Store:
    """Stored arrays by name, read from memory-mapped files. ``stack`` keeps those open."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._found: dict[str, tuple[mmap.mmap | bytes, Leaf]] = {}

    @property
    def shapes(self) -> Shapes:
        return {name: leaf.shape for name, (_, leaf) in self._found.items()}

    @property
    def dtypes(self) -> frozenset[str]:
        return frozenset(leaf.dtype for _, leaf in self._found.values())

    def add_flax(self, path: Path) -> None:
        file = self._stack.enter_context(FlaxFile(path))
        self._found |= {name: (file.data, leaf) for name, leaf in file.leaves.items()}

    def add_safetensors(self, path: Path, prefix: str = "") -> None:
        """The tensors of a file; their names get the prefix."""
        header = read_header(path)
        with path.open("rb") as opened:
            start = 8 + int.from_bytes(opened.read(8), "little")
            data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        self._stack.callback(_close, data)
        for name, info in header.tensors.items():
            if info.dtype not in STORED:
                raise MismatchedWeights(
                    f"{path.name} holds {name} as {info.dtype}; weights are floating point",
                    hint="use the file of the original publisher",
                )
            leaf = Leaf(STORED[info.dtype], info.shape, ((start + info.start, start + info.end),))
            self._found[prefix + name] = (data, leaf)

    def table(self, source: Source) -> StoredTable | None:
        """A table whose rows stay in the file until they are asked for; ``None`` where it does not lie there in one
        piece."""
        data, leaf = self._found[source.name]
        if len(leaf.spans) != 1 or source.layer is not None or len(leaf.shape) != 2:
            return None
        (start, end), kind = leaf.spans[0], np.dtype(KINDS[leaf.dtype])
        array = np.frombuffer(data, kind, (end - start) // kind.itemsize, start)
        return StoredTable(array.reshape(leaf.shape), leaf.dtype)

    def copy(self, source: Source, target: Tensor) -> None:
        """Copy one array, or one layer of a stacked one, to ``target`` of the stored shape, a few pages at a time."""
        data, leaf = self._found[source.name]
        kind = np.dtype(KINDS[leaf.dtype])
        pieces = [np.frombuffer(data, kind, (end - start) // kind.itemsize, start) for start, end in leaf.spans]
        array = (pieces[0] if len(pieces) == 1 else np.concatenate(pieces)).reshape(leaf.shape)
        array = array if source.layer is None else array[source.layer]
        rows = max(1, AT_ONCE // max(1, array[:1].nbytes))
        for first in range(0, len(array), rows):
            # Copied: the file's bytes are read-only and seldom aligned.
            part = torch.from_numpy(np.array(array[first : first + rows]))
            target[first : first + rows] = part.view(torch.bfloat16) if leaf.dtype == "bfloat16" else part
            _give_back(data)


class StoredTable:
    """Rows [N, D] of a memory-mapped file, which must not change while this lives."""

    def __init__(self, array: NDArray[np.generic], dtype: str) -> None:
        self._array = array
        self._dtype = dtype

    def rows(self, ids: Tensor) -> Tensor:
        """The rows [*, D] of ``ids`` [*], in the stored dtype."""
        found = torch.from_numpy(self._array[ids.numpy()])
        return found.view(torch.bfloat16) if self._dtype == "bfloat16" else found


def _close(data: mmap.mmap) -> None:
    """A table that is still in use keeps the file open until it is gone."""
    with suppress(BufferError):
        data.close()


def _give_back(data: mmap.mmap | bytes) -> None:
    """Pages read so far count as this process's memory until they are given back. Clean, so nothing is written."""
    if isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED)
