"""Hostile and broken model files are refused, each as what it is, and none of them runs."""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import limner
from limner.errors import CorruptFile, LimnerError, ModelNotFound, UnsafeFile
from limner.models.inspect import (
    MAX_HEADER,
    MAX_TENSORS,
    Header,
    TensorInfo,
    read_header,
    read_json,
    refuse_pickle,
    sniff,
)

POCKET = Path(limner.__file__).parent / "assets" / "pocket"


def entry(shape: list[Any], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def pack(header: object, data: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


GOOD = {"__metadata__": {"format": "pt"}, "a.weight": entry([2, 2], 0, 16), "b": entry([3], 16, 22, "F16")}


class Canary:
    """Unpickling this makes a file: the sign that code ran."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def zipped(payload: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def tarred(payload: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("pickle")
        member.size = len(payload)
        archive.addfile(member, io.BytesIO(payload))
    return buffer.getvalue()


def pickles(canary: Path) -> dict[str, bytes]:
    dumped = {f"protocol {n}": pickle.dumps(Canary(canary), protocol=n) for n in range(6)}
    return dumped | {
        "in a zip": zipped(dumped["protocol 2"]),
        "in a tar": tarred(dumped["protocol 2"]),
        "torch legacy": pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + dumped["protocol 2"],
        "harmless": pickle.dumps({"weight": [1.0, 2.0]}, protocol=4),
        "harmless text": pickle.dumps({"weight": [1.0, 2.0]}, protocol=0),
        "None": b"N.",
        "hand-written": f"cos\nmkdir\n(S'{canary}'\ntR.".encode(),
        "old class": f"(S'{canary}'\nios\nmkdir\n.".encode(),
        "brace at byte 8": b"\x80\x02X\x04\x00\x00\x00a{bc0" + dumped["protocol 2"][2:],
        "truncated": dumped["protocol 4"][:20],
    }


PICKLES = list(pickles(Path()))


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_pickle_is_refused_under_any_name_and_does_not_run(name: str, suffix: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickles(canary)[name])
    assert sniff(path) == ("zip-pickle" if name == "in a zip" else "pickle")
    for check in (refuse_pickle, read_header):
        with pytest.raises(UnsafeFile, match="pickle") as caught:
            check(path)
        assert "safetensors" in caught.value.hint
    assert not canary.exists()


def test_the_canary_would_sing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickle.loads(pickles(canary)["protocol 2"])
    assert canary.exists()


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin", ".PKL"])
def test_what_is_named_as_a_pickle_and_unknown_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(gzip.compress(pickle.dumps(Canary(tmp_path / "canary"))))
    with pytest.raises(UnsafeFile):
        refuse_pickle(path)


HOSTILE: dict[str, bytes] = {
    "header of 2**63": struct.pack("<Q", 1 << 63) + b"{}",
    "header of 2**64-1": b"\xff" * 8 + b"{}",
    "header just too long": struct.pack("<Q", MAX_HEADER + 1) + b"{}",
    "same key twice": pack(b'{"a":%s,"a":%s}' % ((json.dumps(entry([1], 0, 4)).encode(),) * 2), bytes(4)),
    "other key twice": pack(b'{"a":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,4]}}', bytes(4)),
    "escaped key twice": pack(b'{"a":{},"\\u0061":{}}'),
    "metadata twice": pack(b'{"__metadata__":{},"__metadata__":{}}'),
    "class": pack({"x.__class__.y": entry([1], 0, 4)}, bytes(4)),
    "globals": pack({"__globals__": entry([1], 0, 4)}, bytes(4)),
    "half a dunder": pack({"a.__init": entry([1], 0, 4)}, bytes(4)),
    "empty name": pack({"": entry([1], 0, 4)}, bytes(4)),
    "terminal escape in a name": pack({"a\u001b[2J": entry([1], 0, 4)}, bytes(4)),
    "lone surrogate in a name": pack(b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
    "endless name": pack({"a" * 600: entry([1], 0, 4)}, bytes(4)),
    "overlap": pack({"a": entry([2], 0, 8), "b": entry([1], 4, 8)}, bytes(8)),
    "same bytes twice": pack({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, bytes(8)),
    "gap": pack({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12)),
    "gap at the start": pack({"a": entry([1], 4, 8)}, bytes(8)),
    "bytes after the last": pack({"a": entry([1], 0, 4)}, bytes(4) + zipped(b"N.")),
    "data without tensors": pack({}, b"MZ"),
    "too many tensors": pack({str(i): entry([0], 0, 0) for i in range(MAX_TENSORS + 1)}),
    "millions of lists": pack(b'{"a":[' + b"[]," * 200_000 + b"[]]}"),
    "millions of tables": pack(b'{"a":[' + b"{}," * 200_000 + b"{}]}"),
    "GGUF renamed": b"GGUF" + bytes(60),
}
BROKEN: dict[str, bytes] = {
    "empty": b"",
    "three bytes": b"abc",
    "only a length": struct.pack("<Q", 2),
    "length beyond the end": struct.pack("<Q", 100) + b"{}",
    "truncated data": pack(GOOD, bytes(21)),
    "no data": pack(GOOD),
    "truncated JSON": pack(b'{"a":{"dtype"'),
    "text": b"this is no model but a page that says so",
    "HTML": b"<!DOCTYPE html><html>404</html>",
    "LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    "zeros": bytes(64),
    "not UTF-8": pack(b'{"\xff":1}'),
    "deep nesting": pack(b'{"a":' + b"[" * 20_000),
    "NaN": pack(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}', bytes(4)),
    "endless number": pack(b'{"a":{"dtype":"F32","shape":[%s],"data_offsets":[0,4]}}' % (b"9" * 5000), bytes(4)),
    "trailing text": pack(b"{}{}"),
    "entry is a list": pack({"a": []}),
    "entry is a number": pack({"a": 3}),
    "key missing": pack({"a": {"dtype": "F32", "shape": [1]}}),
    "key too many": pack({"a": {**entry([1], 0, 4), "code": "x"}}, bytes(4)),
    "unknown dtype": pack({"a": entry([1], 0, 4, "F33")}, bytes(4)),
    "dtype is a list": pack({"a": {**entry([1], 0, 4), "dtype": ["F32"]}}, bytes(4)),
    "negative side": pack({"a": entry([-1], 0, 4)}, bytes(4)),
    "fractional side": pack({"a": entry([1.0], 0, 4)}, bytes(4)),
    "true as a side": pack({"a": entry([True], 0, 4)}, bytes(4)),
    "text as a side": pack({"a": entry(["1"], 0, 4)}, bytes(4)),
    "shape is a number": pack({"a": {**entry([1], 0, 4), "shape": 1}}, bytes(4)),
    "overflowing shape": pack({"a": entry([1 << 62, 4], 0, 16)}, bytes(16)),
    "huge empty tensor": pack({"a": entry([0, 1 << 63], 0, 0)}),
    "forty dimensions": pack({"a": entry([1] * 40, 0, 4)}, bytes(4)),
    "shape smaller than bytes": pack({"a": entry([1], 0, 8)}, bytes(8)),
    "shape larger than bytes": pack({"a": entry([3], 0, 8)}, bytes(8)),
    "offsets reversed": pack({"a": entry([1], 4, 0)}, bytes(4)),
    "negative offset": pack({"a": entry([1], -4, 0)}, bytes(4)),
    "three offsets": pack({"a": {**entry([1], 0, 4), "data_offsets": [0, 4, 8]}}, bytes(4)),
    "offset beyond the end": pack({"a": entry([1 << 38], 0, 1 << 40)}, bytes(4)),
    "metadata of numbers": pack({"__metadata__": {"a": 1}}),
    "metadata is a list": pack({"__metadata__": []}),
}


def test_there_are_forty_hostile_files() -> None:
    assert len(HOSTILE) + len(BROKEN) + len(PICKLES) >= 40


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_unsafe(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(UnsafeFile) as caught:
        read_header(path)
    assert str(path) in caught.value.message
    caught.value.message.encode("utf-8")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_corrupt(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(BROKEN[name])
    with pytest.raises(CorruptFile) as caught:
        read_header(path)
    assert str(path) in caught.value.message
    assert len(caught.value.message) < 400 + len(str(path))


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "named.ckpt"
    path.write_bytes(pack(json.dumps(GOOD).encode() + b"   ", bytes(22)))
    assert sniff(path) == "safetensors"
    assert read_header(path) == Header(
        tensors={"a.weight": TensorInfo("F32", (2, 2), 0, 16), "b": TensorInfo("F16", (3,), 16, 22)},
        metadata={"format": "pt"},
    )


def test_empty_and_scalar_tensors_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(pack({"b": entry([0, 7], 4, 4), "a": entry([], 0, 4), "c": entry([2], 4, 6, "U8")}, bytes(6)))
    assert read_header(path).tensors["a"].shape == ()


def test_braces_and_commas_in_metadata_are_only_text(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    tags = json.dumps([{"a": [1, 2]}] * 60_000)
    path.write_bytes(pack({"__metadata__": {"tags": tags}, "a": entry([1], 0, 4)}, bytes(4)))
    assert read_header(path).metadata["tags"] == tags


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_the_built_in_model_passes(part: str) -> None:
    found = [info for path in (POCKET / part).glob("*.safetensors") for info in read_header(path).tensors.values()]
    assert len(found) > 50
    assert {info.dtype for info in found} == {"F16"}


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(ModelNotFound):
            read_header(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelNotFound, match="not a file"):
        read_header(tmp_path / "pipe")


PIECES = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b"-",
        b"1e9",
        b"null",
        b"true",
        b"NaN",
        b"__class__",
        b'"a":',
        b"\xff",
        b"\0",
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good file with bytes changed, put in, taken out, or cut off; mostly in the header, where the danger is."""
    content = bytearray(pack(GOOD, bytes(22)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(["set", "insert", "delete", "cut", "copy"])):
            case "set":
                content[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "insert":
                content[at:at] = draw(PIECES | st.binary(max_size=4))
            case "delete":
                del content[at : at + draw(st.integers(1, 20))]
            case "copy":
                content[at:at] = content[at : at + draw(st.integers(1, 60))]
            case _:
                del content[at:]
    if draw(st.booleans()) and len(content) >= 8 + 22:
        content[:8] = struct.pack("<Q", max(len(content) - 8 - 22, 0))
    return bytes(content)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=mutated() | st.binary(max_size=200))
@example(content=b"\x80\x04\x95\x00\x00\x00\x00\x00{")
def test_whatever_is_in_a_file_only_our_errors_come_out(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated.safetensors"
    path.write_bytes(content)
    header, error = attempt(path)
    if header is not None:
        length = int.from_bytes(content[:8], "little")
        assert sum(info.end - info.start for info in header.tensors.values()) == len(content) - 8 - length
    else:
        assert isinstance(error, UnsafeFile | CorruptFile)
        assert error.message.isprintable()


def attempt(path: Path) -> tuple[Header | None, LimnerError | None]:
    try:
        return read_header(path), None
    except LimnerError as error:
        return None, error


def test_json_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"a": [1, null], "b": "ü"}', encoding="utf-8")
    assert read_json(path) == {"a": [1, None], "b": "ü"}


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"3", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff", b"[" * 99_999, b'{"a":"' + b" " * 99 + b'"}'],
)
def test_bad_json_is_corrupt(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CorruptFile):
        read_json(path, limit=100 if content.endswith(b'"}') else 1 << 20)


def test_inspect_does_not_load_torch() -> None:
    code = "import sys, limner.models.inspect; assert not {'torch', 'numpy', 'safetensors'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_may_hold_the_infinities_that_diffusers_writes(tmp_path: Path) -> None:
    path = tmp_path / "scheduler_config.json"
    path.write_text('{"lambda_min_clipped": -Infinity, "most": Infinity}', "utf-8")
    assert read_json(path) == {"lambda_min_clipped": -math.inf, "most": math.inf}
