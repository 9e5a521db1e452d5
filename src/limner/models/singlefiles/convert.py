"""A pickled checkpoint as safetensors: read once, in a process that is closed off, and never again.

Pickles are programs. The file is given to :mod:`limner.models.singlefiles.unpickle` in a child process with bounds, and
what comes back is looked at as any foreign file is, before it gets its name. Torch-free here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from limner.canonical import file_hash
from limner.errors import CorruptFile, InvalidRequest, ModelNotFound, StorageError, UnsafeFile
from limner.models.inspect import read_header, sniff
from limner.models.singlefiles import unpickle

__all__ = ["Converted", "convert", "target_of"]

SECONDS = 3600.0
"""How long the child may take, waiting for the disk included."""

_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of a file. Hashes are tagged; ``left`` names the entries that are no tensors and were left out;
    ``without_network`` tells whether the system could take the network from the process that read it."""

    source: Path
    target: Path
    source_hash: str
    hash: str
    tensors: int
    left: tuple[str, ...]
    without_network: bool


def target_of(source: Path) -> Path:
    """The name a converted file has where none is said: as diffusers and transformers look for it."""
    stem = "model" if source.stem == "pytorch_model" else source.stem
    return source.with_name(f"{stem}.safetensors")


def convert(source: Path, target: Path | None = None, *, seconds: float = SECONDS) -> Converted:
    """Write the weights in the pickle ``source`` to the new file ``target`` as safetensors.

    ``target`` is beside it where left out. Its metadata keep the hash of the source (``limner.source``). It appears
    when it is whole.

    Raises:
        ModelNotFound: there is no such file.
        InvalidRequest: ``target`` exists, or the file is no pickle.
        UnsafeFile: it wants code to be run, or more memory or time than weights of its size need.
        CorruptFile: it is damaged or cut short.
        StorageError: no room, or ``target`` cannot be written.
    """
    target = target or target_of(source)
    _check(source, target)
    tagged = file_hash(source)
    partial = target.with_name(f"{target.name}.partial")
    try:
        said = _in_child(source, partial, tagged, seconds)
        read_header(partial)
        written = file_hash(partial)
        _name(partial, target)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror}", hint="check the disk and permissions"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    left = said.get("left")
    names = tuple(map(str, left)) if isinstance(left, list) else ()
    count = said.get("tensors")
    return Converted(
        source,
        target,
        tagged,
        written,
        count if isinstance(count, int) else 0,
        names,
        said.get("without_network") is True,
    )


def _check(source: Path, target: Path) -> None:
    if not source.is_file():
        raise ModelNotFound(f"there is no file {str(source)!r}", hint="check the path")
    if target.exists():
        raise InvalidRequest(f"{target} exists already", hint="name a new file")
    kind = sniff(source)
    if kind == "safetensors":
        raise InvalidRequest(f"{source.name} is a safetensors file already", hint="give it that suffix and use it")
    if kind == "gguf":
        raise InvalidRequest(f"{source.name} is a GGUF file, not a pickle", hint="use the safetensors version")
    free = _free(target.parent)
    if free is not None and free < source.stat().st_size:
        raise StorageError(f"{target.parent} has no room for {target.name}", hint="name a target on another disk")


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _in_child(source: Path, partial: Path, tagged: str, seconds: float) -> dict[str, object]:
    command = [sys.executable, "-I", unpickle.__file__, str(source.absolute()), str(partial.absolute()), tagged]
    kept = {
        name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ
    }
    with tempfile.TemporaryDirectory() as empty:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                cwd=empty,
                env={**kept, "HOME": empty, "OMP_NUM_THREADS": "1"},
                timeout=seconds,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise UnsafeFile(f"{source.name} took longer to read than weights do", hint=_UNTRUSTED) from None
    said = _parsed(done.stdout)
    if done.returncode == 0 and partial.is_file():
        return said
    what = str(said.get("error", ""))[:_SHOWN]
    if done.returncode == unpickle.REFUSED:
        raise UnsafeFile(f"{source.name} was not converted: {what}", hint=_UNTRUSTED)
    if done.returncode == unpickle.BROKEN and what:
        raise CorruptFile(f"{source.name} cannot be read: {what}", hint="download it again")
    # Killed by a limit, or torch itself failed: stderr is the child's own, and may say anything.
    raise UnsafeFile(
        f"{source.name} was not converted: the process that read it ended with {done.returncode}", hint=_UNTRUSTED
    )


_UNTRUSTED = "do not use this file: get a safetensors version from a publisher you trust"


def _parsed(text: str) -> dict[str, object]:
    try:
        said = json.loads(text.strip().splitlines()[-1]) if text.strip() else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _name(partial: Path, target: Path) -> None:
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
