"""The child process that reads a pickled checkpoint: closed off first, then torch's weights-only reader, then out.

Run by path and alone (``python -I unpickle.py SOURCE TARGET SOURCE_HASH``); it imports nothing of Limner, so that what
it can reach is what stands here. What protects: the reader runs no code of the file and knows only tensors and plain
containers; should it have a hole, the process has no network where the system allows that, may start no program, load
no module, write no file but one, and is bounded in memory, time and output. Its answer is one line of JSON on stdout.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

GIGABYTE = 1 << 30
MAX_ENTRIES = 100_000
MAX_PROGRAM = 256 << 20  # bytes of the pickle itself; tensors are not part of it
SECONDS = 1800
REFUSED, BROKEN = 3, 4

# Left in checkpoints by the programs that trained them. Each is read as an empty stand-in; none is imported.
INERT = re.compile(
    r"(pytorch_lightning|lightning|lightning_fabric|omegaconf|deepspeed)\.[\w.]+"
    r"|typing\.Any|argparse\.Namespace|collections\.defaultdict|numpy(\._?core\.multiarray\.scalar|\.dtype)"
    r"|numpy\.dtypes\.\w+|_codecs\.encode|builtins\.(list|dict|set|tuple|int|float|bool|str)"
)
FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.startfile",
             "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.chown",
             "os.truncate", "os.putenv", "shutil.", "ctypes.", "pty.", "ftplib.", "smtplib.", "urllib.", "webbrowser.",
             "sys.addaudithook", "sqlite3.", "winreg.", "msvcrt.")  # fmt: skip
INNER = ("state_dict", "params_ema", "params", "model", "module")
TOLD = ("global_step", "epoch")


class Refused(Exception):
    """The file is not what it should be, or wants what it may not have."""


def main(source: Path, target: Path, source_hash: str) -> int:
    without_network = _leave_network()
    _limit(source.stat().st_size)
    import torch

    _warm_up()
    _close_off(target)
    try:
        left: list[str] = []
        tensors, told = _tensors(_load(source), left, most=_most(source.stat().st_size))
        _save(tensors, target, told | {"limner.source": source_hash})
    except Refused as error:
        return _answer(REFUSED, error=str(error))
    except (MemoryError, RecursionError):
        return _answer(REFUSED, error="it wants more memory than a file of its size needs")
    except Exception as error:
        return _answer(BROKEN, error=f"{type(error).__name__}: {str(error)[:300]}")
    return _answer(0, tensors=len(tensors), left=left, torch=torch.__version__, without_network=without_network)


def _answer(code: int, **facts: object) -> int:
    print(json.dumps(facts))
    return code


def _leave_network() -> bool:
    """A network namespace of its own, which has no interfaces (Linux, where users may have namespaces)."""
    if not sys.platform.startswith("linux"):
        return False
    user, network = 0x10000000, 0x40000000
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.unshare(network) == 0 or libc.unshare(user | network) == 0)
    except (OSError, AttributeError):
        return False


def _limit(size: int) -> None:
    """Memory, time and length of what is written, by the size of the file."""
    try:
        import resource
    except ImportError:  # Windows
        return
    most = {
        resource.RLIMIT_AS: 6 * GIGABYTE + 4 * size,
        resource.RLIMIT_CPU: SECONDS,
        resource.RLIMIT_FSIZE: _most(size),
        resource.RLIMIT_CORE: 0,
    }
    for kind, amount in most.items():
        _, hard = resource.getrlimit(kind)
        bound = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(kind, (bound, bound))


def _most(size: int) -> int:
    """Bytes of weights that a file of ``size`` bytes may hold: tied ones are written twice."""
    return 2 * size + GIGABYTE // 16


def _warm_up() -> None:
    """Have everything imported that reading and writing need, before imports are forbidden."""
    import io

    import torch
    from safetensors.torch import save

    save({"x": torch.zeros(1)})
    for zipped in (True, False):
        kept = io.BytesIO()
        torch.save({"x": torch.zeros(1)}, kept, _use_new_zipfile_serialization=zipped)
        kept.seek(0)
        torch.load(kept, map_location="cpu", weights_only=True)


def _close_off(target: Path) -> None:
    """From here on the interpreter itself refuses programs, sockets, new modules and writing. It cannot be undone."""
    writable = str(target)
    known = {"torch", "safetensors", "numpy"} | set(sys.stdlib_module_names)

    def guard(event: str, args: tuple[object, ...]) -> None:
        if event.startswith(FORBIDDEN):
            raise Refused(f"it tried what no file of weights has to do: {event}")
        if event == "import" and str(args[0]).split(".")[0] not in known:
            raise Refused(f"it wanted the module {str(args[0])!r:.80}")
        if event == "open" and _writes(args) and str(args[0]) != writable:
            raise Refused(f"it tried to write to {str(args[0])!r:.80}")

    sys.addaudithook(guard)


def _writes(args: tuple[object, ...]) -> bool:
    mode, flags = args[1], args[2]
    if isinstance(mode, str) and set(mode) & set("wax+"):
        return True
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def _load(source: Path) -> object:
    import pickle

    import torch

    zipped = zipfile.is_zipfile(source)
    if zipped:
        _check_archive(source)
        _stand_in(source)
    try:
        return torch.load(source, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise Refused(_why(str(error))) from None
    except (EOFError, OSError, RuntimeError, UnicodeDecodeError, LookupError, zipfile.BadZipFile) as error:
        raise RuntimeError(f"it is cut short or damaged ({type(error).__name__})") from None


def _why(message: str) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", message) or re.search(r"global:? ([\w.]+)", message)
    return f"it wants {found[1]} to be run" if found else f"it is more than weights: {message.splitlines()[0][:200]}"


def _check_archive(source: Path) -> None:
    """torch stores without compression: an archive that grows when it is opened was not written by it."""
    size = source.stat().st_size
    with zipfile.ZipFile(source) as archive:
        entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise Refused(f"it has {len(entries):,} entries")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size:
            raise Refused("it is compressed, which files of torch are not")
        if entry.filename.endswith(".pkl") and entry.file_size > MAX_PROGRAM:
            raise Refused(f"its pickle has {entry.file_size:,} bytes")
    if sum(entry.file_size for entry in entries) > size:
        raise Refused("its entries overlap")


def _stand_in(source: Path) -> None:
    """Register empty classes for what training programs leave, found by reading opcodes; refuse all else by name."""
    import torch

    try:
        wanted = torch.serialization.get_unsafe_globals_in_checkpoint(source)
    except Exception:
        return  # loading will say what is amiss
    foreign = [name for name in wanted if not INERT.fullmatch(name)]
    if foreign:
        raise Refused(f"it wants {', '.join(foreign[:3])} to be run")
    torch.serialization.add_safe_globals([(_inert(name), name) for name in wanted])


def _inert(name: str) -> type:
    def nothing(self: object, *_: object, **__: object) -> None: ...

    def make(cls: type, *_: object, **__: object) -> object:
        return object.__new__(cls)

    methods: dict[str, object] = dict.fromkeys(("__init__", "__setstate__", "__setitem__", "append"), nothing)
    return type(name.rpartition(".")[2], (), {**methods, "__new__": make})


def _tensors(loaded: object, left: list[str], *, most: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Names to tensors of what is the weights in there, and the few numbers that say how they were trained."""
    if not isinstance(loaded, dict):
        raise Refused(f"it holds a {type(loaded).__name__}, not weights by name")
    told = {key: str(loaded[key]) for key in TOLD if type(loaded.get(key)) is int}
    inner = next((loaded[key] for key in INNER if isinstance(loaded.get(key), dict)), loaded)
    if "string_to_param" in loaded:
        inner = {"emb_params": next(iter(_values(loaded["string_to_param"])), None)}
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in inner.items():
        most -= getattr(value, "nbytes", 0)
        if most < 0:
            raise Refused("its tensors are larger than the file")
        tensor = _own(value, seen)
        if tensor is None or not isinstance(name, str):
            left.append(str(name)[:200])
        else:
            found[name] = tensor
    if not found:
        raise Refused("there are no tensors in it")
    return found, told


def _values(said: object) -> Iterator[object]:
    if isinstance(said, dict):
        yield from said.values()


def _own(value: object, seen: set[int]) -> Tensor | None:
    """A dense tensor with memory of its own; ``None`` for anything else."""
    import torch

    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_quantized or value.is_meta:
        return None
    tensor = value.detach()
    storage = tensor.untyped_storage()
    shared = storage.data_ptr() in seen or storage.nbytes() != tensor.numel() * tensor.element_size()
    seen.add(storage.data_ptr())
    return tensor.contiguous().clone() if shared else tensor.contiguous()


def _save(tensors: dict[str, Tensor], target: Path, told: dict[str, str]) -> None:
    from safetensors.torch import save_file

    save_file(tensors, target, metadata={"format": "pt", **told})


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
