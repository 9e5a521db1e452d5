"""A strict reader of Flax weights (``flax_model.msgpack``). Torch-free, memory-mapped, and nothing in a file is run.

Flax writes one msgpack map of maps with texts as keys. A leaf is an array: extension type 1, whose payload is itself
msgpack, ``[shape, dtype name, bytes]``. An array above 2^30 bytes may be cut into chunks, which are a map with the key
``__msgpack_chunked_array__``. Whatever else msgpack can say (numbers, lists, nil, other extensions) has no place in
weights and is refused by name. Format: https://github.com/msgpack/msgpack/blob/master/spec.md.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from limner.errors import CorruptFile, ModelNotFound, UnsafeFile

__all__ = ["DTYPE_BYTES", "FlaxFile", "Leaf"]

DTYPE_BYTES: Mapping[str, int] = {"float32": 4, "float16": 2, "bfloat16": 2}
MAX_DEPTH = 32
MAX_LEAVES = 20_000
MAX_NAME = 512
MAX_RANK = 8
MAX_CHUNKS = 4_096
CHUNKED = "__msgpack_chunked_array__"
ARRAY = 1  # the extension type of an array

_AGAIN = "delete it and download it again"
_OTHER = "use the file of a publisher you trust"
_SIMPLE = {0xC0: "nil", 0xC2: "false", 0xC3: "true", 0xCA: "a number", 0xCB: "a number", 0xC1: "an unused code"}
_SIZED: Mapping[int, tuple[str, int]] = {  # code -> (kind, bytes of the size that follows)
    0xD9: ("text", 1), 0xDA: ("text", 2), 0xDB: ("text", 4),
    0xC4: ("bytes", 1), 0xC5: ("bytes", 2), 0xC6: ("bytes", 4),
    0xDC: ("list", 2), 0xDD: ("list", 4), 0xDE: ("map", 2), 0xDF: ("map", 4),
    0xC7: ("extension", 1), 0xC8: ("extension", 2), 0xC9: ("extension", 4),
}  # fmt: skip
_FIXED_EXTENSION = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_NATURAL = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One array. ``spans`` are byte ranges of the file: its elements in C order, in as many pieces as were written."""

    dtype: str
    shape: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


class FlaxFile:
    """The arrays of a file by path (``"model/encoder/final_ln/bias"``), found without touching their contents.

    Use it in a ``with``, or ``close`` it. ``data`` is the whole file, memory-mapped: ``data[start:end]`` of a leaf's
    spans are its elements, little-endian.

    Raises:
        ModelNotFound: no such file, or it cannot be read.
        CorruptFile: truncated or malformed.
        UnsafeFile: holds what weights never hold, or more of it than they ever do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.data: mmap.mmap | bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file cannot be mapped
            self.data = b""
        except OSError as error:
            raise ModelNotFound(f"{path} cannot be read: {error.strerror}", hint="check the path") from None
        try:
            self.leaves: Mapping[str, Leaf] = _Reader(self.data, path.name).tree()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> FlaxFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Views of ``data`` that are still alive keep it open until they are gone."""
        if isinstance(self.data, mmap.mmap):
            with suppress(BufferError):
                self.data.close()
        self.data = b""


class _Reader:
    """A cursor over the file's bytes."""

    def __init__(self, data: mmap.mmap | bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._at = 0
        self._leaves: dict[str, Leaf] = {}

    def tree(self) -> Mapping[str, Leaf]:
        if not len(self._data):
            raise self._corrupt("is empty")
        kind, size = self._head()
        if kind != "map":
            raise self._corrupt(f"is no map of weights but begins with {kind}")
        self._map("", size, 1)
        if self._at != len(self._data):
            raise UnsafeFile(f"{self._name} carries {len(self._data) - self._at:,} bytes behind its end", hint=_OTHER)
        return self._leaves

    def _map(self, path: str, size: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise UnsafeFile(f"{self._name} nests maps deeper than {MAX_DEPTH}", hint=_OTHER)
        if size > MAX_LEAVES:
            raise UnsafeFile(f"{self._name} holds a map of {size:,} entries", hint=_OTHER)
        seen: set[str] = set()
        for _ in range(size):
            key = self._key(path)
            if key in seen:
                raise UnsafeFile(f"{self._name} holds {path + key!r:.120} twice", hint=_OTHER)
            seen.add(key)
            if key == CHUNKED:
                self._chunked(path, size, seen)
                return
            self._entry(path + key, depth)

    def _entry(self, path: str, depth: int) -> None:
        kind, size = self._head()
        if kind == "map":
            self._map(path + "/", size, depth + 1)
        elif kind == "extension":
            self._add(path, self._array(path, size))
        else:
            raise UnsafeFile(f"{self._name} holds {kind} at {path!r:.120}; weights hold arrays only", hint=_OTHER)

    def _add(self, path: str, leaf: Leaf) -> None:
        if len(self._leaves) >= MAX_LEAVES:
            raise UnsafeFile(f"{self._name} holds more than {MAX_LEAVES:,} arrays", hint=_OTHER)
        self._leaves[path] = leaf

    def _key(self, path: str) -> str:
        kind, size = self._head()
        if kind != "text":
            raise UnsafeFile(f"{self._name} has {kind} for a name in {path or 'its top'!r:.120}", hint=_OTHER)
        key = self._text(size)
        if not key or "/" in key or not key.isprintable():
            raise UnsafeFile(f"{self._name} holds the name {key!r:.80}", hint=_OTHER)
        return key

    def _text(self, size: int) -> str:
        if size > MAX_NAME:
            raise UnsafeFile(f"{self._name} holds a name of {size:,} bytes", hint=_OTHER)
        try:
            return self._take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise self._corrupt("holds a name that is no text") from None

    def _array(self, path: str, size: int) -> Leaf:
        """The payload of an extension: [shape, dtype, bytes]."""
        code = self._byte()
        end = self._at + size
        if code != ARRAY:
            raise UnsafeFile(
                f"{self._name} holds extension type {code} at {path!r:.120}; weights hold arrays (type {ARRAY}) only",
                hint=_OTHER,
            )
        if end > len(self._data):
            raise self._corrupt(f"ends inside {path!r:.120}")
        self._expect("list", 3, path)
        rank = self._size_of("list", path)
        if rank > MAX_RANK:
            raise UnsafeFile(f"{self._name} gives {path!r:.120} {rank:,} axes", hint=_OTHER)
        shape = tuple(self._natural(path) for _ in range(rank))
        dtype = self._text(self._size_of("text", path))
        count = self._size_of("bytes", path)
        if dtype not in DTYPE_BYTES:
            raise UnsafeFile(
                f"{self._name} holds {path!r:.120} as {dtype!r:.40}; weights are floating point", hint=_OTHER
            )
        start = self._at
        if count != math.prod(shape) * DTYPE_BYTES[dtype] or start + count != end:
            raise self._corrupt(f"gives {path!r:.120} a number of bytes that is not that of its shape")
        self._at = end
        return Leaf(dtype, shape, ((start, end),))

    def _chunked(self, path: str, size: int, seen: set[str]) -> None:
        """What follows the mark of a chunked array: true, then its shape and its chunks as maps with indexes."""
        where = path.removesuffix("/")
        if self._byte() != 0xC3 or size != 3 or len(seen) != 1:
            raise self._corrupt(f"describes the chunks of {where!r:.120} wrongly")
        found: dict[str, object] = {}
        for _ in range(2):
            key = self._key(path)
            found[key] = self._shape(where) if key == "shape" else self._chunks(where)
        shape, chunks = found.get("shape"), found.get("chunks")
        if not isinstance(shape, tuple) or not isinstance(chunks, list) or not chunks:
            raise self._corrupt(f"describes the chunks of {where!r:.120} wrongly")
        spans = tuple(span for chunk in chunks for span in chunk.spans)
        held = sum(end - start for start, end in spans)
        dtypes = {chunk.dtype for chunk in chunks}
        if len(dtypes) != 1 or held != math.prod(shape) * DTYPE_BYTES[chunks[0].dtype]:
            raise self._corrupt(f"holds chunks of {where!r:.120} that do not make up its shape")
        self._add(where, Leaf(chunks[0].dtype, shape, spans))

    def _shape(self, path: str) -> tuple[int, ...]:
        return tuple(self._natural(path) for _ in self._indexes(path, MAX_RANK))

    def _chunks(self, path: str) -> list[Leaf]:
        chunks = []
        for _ in self._indexes(path, MAX_CHUNKS):
            kind, size = self._head()
            if kind != "extension":
                raise UnsafeFile(f"{self._name} holds {kind} among the chunks of {path!r:.120}", hint=_OTHER)
            chunks.append(self._array(path, size))
        return chunks

    def _indexes(self, path: str, most: int) -> _Counter:
        size = self._size_of("map", path)
        if size > most:
            raise UnsafeFile(f"{self._name} cuts {path!r:.120} into {size:,} pieces", hint=_OTHER)
        return _Counter(self, path, size)

    def _expect(self, kind: str, size: int, path: str) -> None:
        if self._size_of(kind, path) != size:
            raise self._corrupt(f"does not describe {path!r:.120} as [shape, dtype, bytes]")

    def _size_of(self, kind: str, path: str) -> int:
        found, size = self._head()
        if found != kind:
            raise self._corrupt(f"has {found} in the description of {path!r:.120}, where {kind} belongs")
        return size

    def _natural(self, path: str) -> int:
        code = self._byte()
        if code < 0x80:
            return code
        if code in _NATURAL:
            return int.from_bytes(self._take(_NATURAL[code]), "big")
        raise self._corrupt(f"gives {path!r:.120} a shape that is no list of sizes")

    def _head(self) -> tuple[str, int]:
        """Kind and size of the next value; the cursor then stands at its contents (of an extension: at its type)."""
        code = self._byte()
        if code in _SIZED:
            kind, width = _SIZED[code]
            return kind, int.from_bytes(self._take(width), "big")
        if code in _FIXED_EXTENSION:
            return "extension", _FIXED_EXTENSION[code]
        if 0x80 <= code <= 0x8F:
            return "map", code & 0x0F
        if 0x90 <= code <= 0x9F:
            return "list", code & 0x0F
        if 0xA0 <= code <= 0xBF:
            return "text", code & 0x1F
        return _SIMPLE.get(code, "a number"), 0

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise self._corrupt("is truncated")
        taken = bytes(self._data[self._at : end])
        self._at = end
        return taken

    def _corrupt(self, fault: str) -> CorruptFile:
        return CorruptFile(f"{self._name} {fault}", hint=_AGAIN)


class _Counter:
    """Walks the entries of a map whose keys must be "0", "1", ... in order."""

    def __init__(self, reader: _Reader, path: str, size: int) -> None:
        self._reader = reader
        self._path = path
        self._left = iter(range(size))

    def __iter__(self) -> _Counter:
        return self

    def __next__(self) -> int:
        index = next(self._left)
        if self._reader._key(self._path) != str(index):
            raise self._reader._corrupt(f"numbers the pieces of {self._path!r:.120} wrongly")
        return index
