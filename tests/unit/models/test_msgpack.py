from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import CorruptFile, ModelError, ModelNotFound, UnsafeFile
from limner.models.msgpack import MAX_DEPTH, FlaxFile
from tests.dalle import FIXTURES, pack_array, pack_map, pack_text, pack_tree

ONES = np.ones((2, 3), dtype=np.float32)
WHOLE = pack_tree({"a/b": ONES, "c": np.arange(4, dtype=np.float16)})


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "flax_model.msgpack"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("folder", ["model", "vqgan"])
def test_finds_every_array_that_flax_wrote(folder: str) -> None:
    wanted = json.loads((FIXTURES / "reference" / "flax_tree.json").read_text())[folder]
    with FlaxFile(FIXTURES / folder / "flax_model.msgpack") as file:
        assert {name: [list(leaf.shape), leaf.dtype] for name, leaf in file.leaves.items()} == wanted


def test_spans_are_the_elements(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    with FlaxFile(write(tmp_path, pack_tree({"a/b": values}))) as file:
        ((start, end),) = file.leaves["a/b"].spans
        assert np.array_equal(np.frombuffer(file.data[start:end], "<f4").reshape(2, 3), values)


def chunked(shape: tuple[int, ...], chunks: list[bytes]) -> bytes:
    sides = pack_map({str(i): bytes([side]) for i, side in enumerate(shape)})
    pieces = pack_map({str(i): chunk for i, chunk in enumerate(chunks)})
    return pack_map({"__msgpack_chunked_array__": b"\xc3", "shape": sides, "chunks": pieces})


def test_chunks_are_one_array(tmp_path: Path) -> None:
    parts = [pack_array(np.arange(4, dtype=np.float32)), pack_array(np.arange(4, 6, dtype=np.float32))]
    with FlaxFile(write(tmp_path, pack_map({"w": chunked((2, 3), parts)}))) as file:
        leaf = file.leaves["w"]
        assert (leaf.shape, len(leaf.spans)) == ((2, 3), 2)
        joined = b"".join(file.data[start:end] for start, end in leaf.spans)
    assert np.array_equal(np.frombuffer(joined, "<f4"), np.arange(6))


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (b"", CorruptFile, "empty"),
        (b"\x93\x01\x02\x03", CorruptFile, "list"),
        (pack_map({"w": b"\xc0"}), UnsafeFile, "nil"),
        (pack_map({"w": b"\x07"}), UnsafeFile, "number"),
        (pack_map({"w": b"\xcb" + struct.pack(">d", 1.0)}), UnsafeFile, "number"),
        (pack_map({"w": pack_text("x")}), UnsafeFile, "text"),
        (pack_map({"w": b"\x91\x01"}), UnsafeFile, "list"),
        (pack_map({"w": b"\xc4\x01x"}), UnsafeFile, "bytes"),
        (pack_map({"w": b"\xc7\x01\x02x"}), UnsafeFile, "extension type 2"),
        (pack_map({"w": b"\xc7\x01\x03x"}), UnsafeFile, "extension type 3"),
        (pack_map({"w": b"\xd6\xffabcd"}), UnsafeFile, "extension type 255"),
        (pack_map({"w": pack_array(np.ones(2, dtype=np.int32))}), UnsafeFile, "int32"),
        (pack_map({"w": pack_array(ONES, "object")}), UnsafeFile, "object"),
        (b"\x81\x01" + pack_array(ONES), UnsafeFile, "number for a name"),
        (b"\x82" + (pack_text("w") + pack_array(ONES)) * 2, UnsafeFile, "twice"),
        (pack_map({"a/b": pack_array(ONES)}), UnsafeFile, "a/b"),
        (pack_map({"": pack_array(ONES)}), UnsafeFile, "name"),
        (pack_map({"w": pack_array(ONES)}) + b"x", UnsafeFile, "behind"),
        (pack_map({"w": pack_array(np.ones((1,) * 9, dtype=np.float32))}), UnsafeFile, "axes"),
        (b"\xdf\xff\xff\xff\xff", UnsafeFile, "entries"),
        (pack_map({"w": chunked((2, 3), [pack_array(ONES[0])])}), CorruptFile, "chunks"),
        (pack_map({"w": chunked((2, 3), [])}), CorruptFile, "chunks"),
    ],
)
def test_anything_but_arrays_is_refused_by_name(tmp_path: Path, data: bytes, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        FlaxFile(write(tmp_path, data))


def test_bytes_must_be_those_of_the_shape(tmp_path: Path) -> None:
    wrong = pack_array(ONES).replace(b"\xce\x00\x00\x00\x03", b"\xce\x00\x00\x00\x04")
    with pytest.raises(CorruptFile, match="number of bytes"):
        FlaxFile(write(tmp_path, pack_map({"w": wrong})))


def test_endless_nesting_is_refused(tmp_path: Path) -> None:
    data = pack_array(ONES)
    for _ in range(MAX_DEPTH + 1):
        data = pack_map({"a": data})
    with pytest.raises(UnsafeFile, match="deeper"):
        FlaxFile(write(tmp_path, data))


@pytest.mark.parametrize("end", range(1, len(WHOLE), 3))
def test_a_file_cut_anywhere_is_corrupt(tmp_path: Path, end: int) -> None:
    with pytest.raises(CorruptFile):
        FlaxFile(write(tmp_path, WHOLE[:end]))


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=80) | st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)))
def test_no_bytes_raise_anything_but_our_errors(
    tmp_path_factory: pytest.TempPathFactory, data: bytes | tuple[int, int]
) -> None:
    if isinstance(data, tuple):
        at, value = data
        data = WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :]
    path = tmp_path_factory.getbasetemp() / "any.msgpack"
    path.write_bytes(data)
    try:
        FlaxFile(path).close()
    except ModelError as error:
        assert error.hint  # noqa: PT017


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"none\.msgpack"):
        FlaxFile(tmp_path / "none.msgpack")
