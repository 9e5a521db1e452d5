"""Looking into model files before anything else opens them: what they are, and whether they are well-formed.

Torch-free. Nothing here executes, imports or unpickles what a file holds. The rules for safetensors are those of the
format (https://github.com/huggingface/safetensors, "Format"), and stricter where common readers let hostile files
through: header and tensor count are bounded, keys are unique and hold no dunder parts.
"""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from limner.errors import CorruptFile, ModelNotFound, UnsafeFile
from limner.models.sniff import SNIFFED, Kind, kind_of, picture_of

__all__ = ["Header", "Kind", "TensorInfo", "read_header", "read_json", "refuse_pickle", "sniff"]

MAX_HEADER = 16 << 20
MAX_TENSORS = 20_000
MAX_NAME = 512
MAX_RANK = 8
MAX_DIMENSION = 1 << 40
MAX_JSON = 1 << 20

DTYPE_BYTES: Mapping[str, int] = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
    "U16": 2, "I16": 2, "F16": 2, "BF16": 2, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}  # fmt: skip

CONVERT_HINT = (
    "ask its publisher for a .safetensors version, or convert the file once, in a closed-off process that runs none of "
    "its code: limner models convert FILE"
)
OTHER_HINT = "use the .safetensors version of this model"
PICTURE_HINT = "give a picture with --init, or name another file here"
AGAIN_HINT = "delete it and download it again"
UNTRUSTED_HINT = "do not use this file; get it again from a publisher you trust"

_PICKLE_SUFFIXES = {".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle"}
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One entry of a header. ``start`` and ``end`` are byte offsets from the first byte after the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a safetensors file says of itself; ``metadata`` is its publisher's free text."""

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]


def sniff(path: Path) -> Kind:
    """What the file is by its first bytes, whatever its name says. Raises ModelNotFound if there is no such file."""
    return kind_of(_read_start(path, SNIFFED)[0])


def refuse_pickle(path: Path) -> None:
    """Raise UnsafeFile if the file is a pickle by content, or may be one by its name and is nothing we know."""
    kind = sniff(path)
    if kind in ("pickle", "zip-pickle"):
        raise UnsafeFile(f"{_shown(path)} is a pickle, which can run any code when it is loaded", hint=CONVERT_HINT)
    if kind == "unknown" and path.suffix.lower() in _PICKLE_SUFFIXES:
        raise UnsafeFile(
            f"{_shown(path)} is named as pickles are, and is no format known to be safe", hint=CONVERT_HINT
        )


def read_header(path: Path) -> Header:
    """Read and check the header of a safetensors file without touching its tensors.

    Raises:
        ModelNotFound: no such file, or it cannot be read.
        UnsafeFile: a pickle under any name, or a file built to do harm: oversized header, too many tensors, duplicate
            or dunder keys, tensors that overlap, hidden bytes between or after them.
        CorruptFile: truncated, malformed, or no safetensors file.
    """
    if (picture := picture_of(_read_start(path, 16)[0])) is not None:
        raise CorruptFile(f"{_shown(path)} is a picture ({picture}), whatever it is called", hint=PICTURE_HINT)
    refuse_pickle(path)
    if sniff(path) == "gguf":
        raise UnsafeFile(f"{_shown(path)} is a GGUF file, a format whose readers are not safe enough", hint=OTHER_HINT)
    start, size = _read_start(path, 8)
    length = int.from_bytes(start, "little")
    if size < 10 or sniff(path) != "safetensors":
        raise CorruptFile(f"{_shown(path)} is no safetensors file", hint=OTHER_HINT)
    if length > MAX_HEADER:
        raise UnsafeFile(f"{_shown(path)} announces a header of {length:,} bytes", hint=UNTRUSTED_HINT)
    if length > size - 8:
        raise CorruptFile(f"{_shown(path)} ends inside its header", hint=AGAIN_HINT)
    raw = _read_start(path, 8 + length)[0][8:]
    return _HeaderReader(_shown(path)).read(raw, size - 8 - length)


def read_json(path: Path, limit: int = MAX_JSON) -> Mapping[str, object]:
    """The object in a JSON file such as a ``config.json``, of at most ``limit`` bytes.

    Raises:
        ModelNotFound: no such file, or it cannot be read.
        CorruptFile: too long, not JSON, not an object, or one key twice.
    """
    raw, size = _read_start(path, limit)
    if size > limit:
        raise CorruptFile(f"{_shown(path)} has {size:,} bytes; a settings file has at most {limit:,}")
    return MappingProxyType(_parse(raw, _shown(path), CorruptFile))


class _HeaderReader:
    """Checks one header; holds the file's name for the messages."""

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, raw: bytes, data: int) -> Header:
        self._bound_structure(raw)
        entries = _parse(raw, self.name, UnsafeFile)
        metadata = self._metadata(entries.pop("__metadata__", None))
        if len(entries) > MAX_TENSORS:
            raise self._unsafe(f"holds {len(entries):,} tensors; {MAX_TENSORS:,} are allowed")
        tensors = {self._key(key): self._tensor(key, entry) for key, entry in entries.items()}
        self._layout(tensors, data)
        return Header(MappingProxyType(tensors), MappingProxyType(metadata))

    def _unsafe(self, fault: str) -> UnsafeFile:
        return UnsafeFile(f"{self.name} {fault}", hint=UNTRUSTED_HINT)

    def _corrupt(self, fault: str) -> CorruptFile:
        return CorruptFile(f"{self.name} {fault}", hint=AGAIN_HINT)

    def _bound_structure(self, raw: bytes) -> None:
        """A small header can stand for millions of empty lists; count before parsing. Strings may hold anything."""
        limits = {b"{": MAX_TENSORS + 2, b"[": 2 * MAX_TENSORS, b",": (3 + MAX_RANK) * MAX_TENSORS}
        if all(raw.count(mark) <= limit for mark, limit in limits.items()):
            return
        bare = _STRING.sub(b"", raw)
        if any(bare.count(mark) > limit for mark, limit in limits.items()):
            raise self._unsafe(f"has a header for more than {MAX_TENSORS:,} tensors")

    def _metadata(self, value: object) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._corrupt("has metadata that is not a table of texts")
        texts = {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}
        if len(texts) != len(value):
            raise self._corrupt("has metadata that is not a table of texts")
        return texts

    def _key(self, key: str) -> str:
        if not key or len(key) > MAX_NAME or not key.isprintable():
            raise self._unsafe(f"holds a tensor with the name {key!r:.80}")
        if any(part.startswith("__") for part in key.split(".")):
            raise self._unsafe(f"holds a tensor named after an internal of Python: {key!r:.80}")
        return key

    def _tensor(self, key: str, entry: object) -> TensorInfo:
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise self._corrupt(f"does not describe tensor {key!r:.80} as the format requires")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
            raise self._corrupt(f"holds tensor {key!r:.80} of the unknown dtype {dtype!r:.40}")
        if not _naturals(shape) or len(shape) > MAX_RANK or any(side > MAX_DIMENSION for side in shape):
            raise self._corrupt(f"gives tensor {key!r:.80} the shape {shape!r:.80}")
        if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
            raise self._corrupt(f"gives tensor {key!r:.80} the place {offsets!r:.80}")
        if offsets[1] - offsets[0] != math.prod(shape) * DTYPE_BYTES[dtype]:
            raise self._corrupt(f"gives tensor {key!r:.80} a number of bytes that is not that of its shape")
        return TensorInfo(dtype, tuple(shape), offsets[0], offsets[1])

    def _layout(self, tensors: Mapping[str, TensorInfo], data: int) -> None:
        """The tensors follow each other without overlap or gap, from the first byte to the last."""
        end = 0
        if max((info.end for info in tensors.values()), default=0) > data:
            raise self._corrupt("is truncated: tensors lie beyond its end")
        for key, info in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
            if info.start != end:
                fault = "overlaps the one before" if info.start < end else "leaves hidden bytes before it"
                raise self._unsafe(f"holds tensor {key!r:.80}, which {fault}")
            end = info.end
        if end != data:
            raise self._unsafe(f"carries {data - end:,} bytes behind its last tensor")


def _naturals(value: object) -> bool:
    # `type` rather than `isinstance`: true and false are integers in Python, and none in JSON.
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _parse(raw: bytes, name: str, duplicate: type[CorruptFile] | type[UnsafeFile]) -> dict[str, object]:
    """Strict JSON: one object, no key twice, no NaN. Only settings may hold the infinities that diffusers writes."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        table = dict(pairs)
        if len(table) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise duplicate(f"{name} has the key {twice!r:.80} twice", hint=UNTRUSTED_HINT)
        return table

    def constant(word: str) -> float:
        if word != "NaN" and duplicate is CorruptFile:
            return float(word)
        raise ValueError(f"{word} is not JSON")

    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise CorruptFile(f"{name} holds no valid JSON: {str(error)[:120]}", hint=AGAIN_HINT) from None
    if not isinstance(value, dict):
        raise CorruptFile(f"{name} holds no JSON object", hint=AGAIN_HINT)
    return value


def _read_start(path: Path, count: int) -> tuple[bytes, int]:
    """The first ``count`` bytes and the size of the whole file."""
    try:
        status = path.stat()
        # Asked first, because opening a pipe would wait for ever.
        if not stat.S_ISREG(status.st_mode):
            raise ModelNotFound(f"{_shown(path)} is not a file", hint="name a file, not a folder or a device")
        with path.open("rb") as file:
            return file.read(count), status.st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid"
        raise ModelNotFound(
            f"{_shown(path)} cannot be read: {reason}", hint="check the path and its permissions"
        ) from None


def _shown(path: Path) -> str:
    """The path as it can be printed anywhere, also where the file system's names are not valid text."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")
