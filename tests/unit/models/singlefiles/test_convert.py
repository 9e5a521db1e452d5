"""Pickles are read once, closed off, and become safetensors; hostile ones become an error, and nothing of them runs."""

from __future__ import annotations

import io
import os
import pickle
import runpy
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from limner.canonical import file_hash
from limner.errors import CorruptFile, InvalidRequest, LimnerError, ModelNotFound, UnsafeFile
from limner.models.singlefiles import unpickle
from limner.models.singlefiles.convert import convert, target_of


def test_weights_come_out_as_they_went_in(tmp_path: Path) -> None:
    w = torch.randn(4, 6)
    state = {"a": w, "tied": w, "rows": w[1:3], "half": w.half(), "turned": w.T, "note": "no tensor"}
    source = tmp_path / "old.ckpt"
    torch.save({"state_dict": state, "global_step": 875000, "optimizer": {"x": 1}}, source)
    made = convert(source)
    assert (made.target, made.tensors, made.left) == (tmp_path / "old.safetensors", 5, ("note",))
    assert made.source_hash == file_hash(source)
    assert made.hash == file_hash(made.target)
    found = load_file(made.target)
    assert found.keys() == state.keys() - {"note"}
    assert all(torch.equal(found[name], state[name]) for name in found)
    with safe_open(made.target, "pt") as file:
        assert file.metadata() == {"format": "pt", "global_step": "875000", "limner.source": made.source_hash}
    with pytest.raises(InvalidRequest, match="exists"):
        convert(source)
    assert {path.name for path in tmp_path.iterdir()} - {"limner-home"} == {"old.ckpt", "old.safetensors"}


class Runs:
    """Pickles as a call of anything."""

    def __init__(self, call: Callable[..., object], *args: object) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.args


def test_a_hostile_file_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    source = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {"a": Runs(os.system, f"touch {canary}")}}, source)
    with pytest.raises(UnsafeFile, match=r"posix\.system") as caught:
        convert(source)
    assert "trust" in caught.value.hint
    assert {path.name for path in tmp_path.iterdir()} - {"limner-home"} == {"evil.ckpt"}


def test_what_takes_too_long_is_stopped(tmp_path: Path) -> None:
    source = tmp_path / "slow.ckpt"
    torch.save({"a": torch.zeros(2)}, source)
    with pytest.raises(UnsafeFile, match="took longer"):
        convert(source, seconds=0.05)
    assert not list(tmp_path.glob("*.partial"))


# The rest is asked of the child's own functions, here: reading weights only runs nothing.


def held(source: Path) -> dict[str, torch.Tensor]:
    return unpickle._tensors(unpickle._load(source), [], most=unpickle._most(source.stat().st_size))[0]


CALLS: tuple[tuple[Callable[..., object], tuple[object, ...]], ...] = (
    (os.system, ("true",)),
    (eval, ("1",)),
    (exec, ("x = 1",)),
    (open, ("/tmp/limner-canary", "w")),
    (subprocess.Popen, (["true"],)),
    (subprocess.check_output, (["true"],)),
    (os.popen, ("true",)),
    (os.putenv, ("A", "b")),
    (os.remove, ("/tmp/limner-canary",)),
    (os.execv, ("/bin/true", ["true"])),
    (runpy.run_path, ("/tmp/limner-canary",)),
    (__import__, ("antigravity",)),
    (compile, ("1", "x", "eval")),
    (pickle.loads, (b"",)),
    (torch.load, ("/tmp/limner-canary",)),
    (torch.hub.load, ("a", "b")),
    (torch.utils.collect_env.run, ("true",)),
)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0].__name__)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_no_call_gets_through(tmp_path: Path, call: Any, zipped: bool) -> None:
    source = tmp_path / "x.ckpt"
    torch.save({"state_dict": OrderedDict(a=Runs(call[0], *call[1]))}, source, _use_new_zipfile_serialization=zipped)
    with pytest.raises(unpickle.Refused, match="to be run"):
        held(source)


RAW = {
    "global": b"cposix\nsystem\n(S'true'\ntR.",
    "inst": b"(S'true'\niposix\nsystem\n.",
    "obj": b"(cposix\nsystem\nS'true'\no.",
    "stack-global": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
    "newobj": b"\x80\x02cposix\nsystem\n)\x81.",
    "extension": b"\x80\x02\x82\x01.",
    "persistent": b"Pid\n.",
    "dunder": b"cbuiltins\n__import__\n(S'os'\ntR.",
    "dotted": b"\x80\x04\x8c\x02os\x8c\x0bpath.exists\x93\x8c\x01/\x85R.",
    "endless-mark": b"(" * 100_000,
    "empty": b"",
    "long-string": b"\x80\x04\x8e" + (1 << 62).to_bytes(8, "little") + b"x",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "plain"])
def test_no_opcode_gets_through(tmp_path: Path, raw: bytes, zipped: bool) -> None:
    source = tmp_path / "x.ckpt"
    source.write_bytes(archive({"archive/data.pkl": raw, "archive/version": b"3\n"}) if zipped else raw)
    with pytest.raises((unpickle.Refused, RuntimeError, MemoryError, OverflowError)):
        held(source)


def archive(entries: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", kind) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return kept.getvalue()


def test_archives_that_grow_are_refused_unread(tmp_path: Path) -> None:
    source = tmp_path / "bomb.ckpt"
    source.write_bytes(archive({"archive/data.pkl": bytes(50_000_000)}, zipfile.ZIP_DEFLATED))
    with pytest.raises(unpickle.Refused, match="compressed"):
        held(source)


def test_a_tensor_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "wide.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(1).expand(1 << 20, 1 << 20)}}, source)
    with pytest.raises(unpickle.Refused, match="larger than the file"):
        held(source)


def test_memory_that_no_machine_has_is_not_given(tmp_path: Path) -> None:
    source = tmp_path / "x.ckpt"  # a plain array of bytes is no code, and torch allows it
    torch.save({"state_dict": {"a": Runs(bytearray, 1 << 60)}}, source)
    with pytest.raises(UnsafeFile, match="more memory"):
        convert(source)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_half_a_file_is_damaged(tmp_path: Path, part: float, zipped: bool) -> None:
    source = tmp_path / "x.ckpt"
    torch.save({"state_dict": {"a": torch.randn(300, 100)}}, source, _use_new_zipfile_serialization=zipped)
    data = source.read_bytes()
    source.write_bytes(data[: int(len(data) * part)])
    with pytest.raises((unpickle.Refused, RuntimeError)):
        held(source)


def test_what_training_leaves_is_read_as_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    left = type("ModelCheckpoint", (), {"__module__": module.__name__})
    monkeypatch.setattr(module, "ModelCheckpoint", left, raising=False)
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    source = tmp_path / "x.ckpt"
    torch.save({"callbacks": {left: {"best": left()}}, "state_dict": {"a": torch.ones(2)}}, source)
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks", module.__name__):
        monkeypatch.delitem(sys.modules, name)
    assert torch.equal(held(source)["a"], torch.ones(2))
    assert module.__name__ not in sys.modules


def test_other_files_of_weights(tmp_path: Path) -> None:
    for name, content, key in (
        ("bare", {"a": torch.ones(1)}, "a"),
        ("upscaler", {"params_ema": {"b": torch.ones(1)}, "params": {"c": torch.ones(1)}}, "b"),
        ("embedding", {"string_to_param": {"*": torch.ones(2, 768)}, "string_to_token": {"*": 265}}, "emb_params"),
    ):
        torch.save(content, tmp_path / name)
        assert set(held(tmp_path / name)) == {key}
    torch.save([torch.ones(1)], tmp_path / "list")
    with pytest.raises(unpickle.Refused, match="not weights by name"):
        held(tmp_path / "list")
    torch.save({"state_dict": {"a": 1}}, tmp_path / "none")
    with pytest.raises(unpickle.Refused, match="no tensors"):
        held(tmp_path / "none")


GUARDED = """
import runpy, sys, os, pathlib
child = runpy.run_path(sys.argv[1], run_name="child")
folder = pathlib.Path(sys.argv[2])
child["_warm_up"]()
child["_close_off"](folder / "allowed")
import socket, subprocess
def module(): __import__("rich")
tries = {
    "system": lambda: os.system("true"),
    "popen": lambda: subprocess.Popen(["true"]),
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "socket": lambda: socket.socket(),
    "lookup": lambda: socket.getaddrinfo("localhost", 1),
    "write": lambda: open(folder / "other", "w"),
    "append": lambda: open(folder / "other", "ab"),
    "low": lambda: os.open(folder / "other", os.O_CREAT | os.O_WRONLY),
    "remove": lambda: os.remove(folder / "kept"),
    "rename": lambda: os.rename(folder / "kept", folder / "moved"),
    "module": module,
}
through = []
for name, attempt in tries.items():
    try:
        attempt()
        through.append(name)
    except child["Refused"]:
        pass
(folder / "allowed").write_text("x")
print(through)
"""


def test_a_hole_in_the_reader_would_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    command = [sys.executable, "-I", "-c", GUARDED, unpickle.__file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert (tmp_path / "kept").exists()


def test_what_is_no_pickle_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        convert(tmp_path / "gone.ckpt")
    safe = tmp_path / "renamed.ckpt"
    safe.write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(InvalidRequest, match="safetensors file already"):
        convert(safe)
    (tmp_path / "junk.ckpt").write_bytes(bytes(100))
    with pytest.raises((CorruptFile, UnsafeFile)) as caught:
        convert(tmp_path / "junk.ckpt")
    assert isinstance(caught.value, LimnerError)


def test_names_are_those_that_folders_want() -> None:
    assert target_of(Path("a/pytorch_model.bin")) == Path("a/model.safetensors")
    assert target_of(Path("a/diffusion_pytorch_model.bin")).name == "diffusion_pytorch_model.safetensors"
    assert target_of(Path("v1.5.pruned.ckpt")).name == "v1.5.pruned.safetensors"
