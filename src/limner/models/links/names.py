"""Names of models as people and pictures write them: ``sub\\Model.safetensors [31e35c80fc]``. Torch-free."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from limner.errors import LimnerError
from limner.models.hashes import Hashes
from limner.models.links.scan import SAFE, without_suffix

_HASHED = re.compile(r"^(.*?)\s*\[([0-9a-fA-F]{8,64})\]$", re.DOTALL)
LEGACY = 8  # characters of A1111's first hash, of 64 KiB from the second MiB on
_LEGACY_START, _LEGACY_BYTES = 0x100000, 0x10000


class Asked(NamedTuple):
    """A name to compare with (case folded, ``/`` between folders, no suffix) and the hash it came with."""

    name: str
    hash: str | None


def asked(text: str) -> Asked:
    """Take a name apart."""
    text = text.strip()
    match = _HASHED.match(text)
    name, found = (match[1], match[2].lower()) if match else (text, None)
    return Asked(without_suffix(name.strip().replace("\\", "/").removeprefix("./")).casefold(), found)


def has_hash(path: Path, short: str, hashes: Hashes) -> bool:
    """Whether a file's hash begins with ``short``, in any of the ways A1111 writes one.

    8 characters: sha256 over 64 KiB at 1 MiB; 10 and more: sha256 of the file, or of a safetensors file's tensors alone
    (LoRA). False for a folder and for a file that cannot be read.
    """
    if not path.is_file():
        return False
    try:
        if len(short) == LEGACY:
            return legacy_hash(path) == short
        if hashes.of([path])[path].removeprefix("sha256:").startswith(short):
            return True
        return path.suffix.lower() in SAFE and tensors_hash(path).startswith(short)
    except (OSError, LimnerError):
        return False


def legacy_hash(path: Path) -> str:
    """A1111's first "model hash", 8 characters. Many files may share one."""
    with path.open("rb") as stream:
        stream.seek(_LEGACY_START)
        return hashlib.sha256(stream.read(_LEGACY_BYTES)).hexdigest()[:LEGACY]


def tensors_hash(path: Path) -> str:
    """sha256 of a safetensors file without its header, as A1111 hashes LoRA: the same tensors under other metadata."""
    with path.open("rb") as stream:
        header = int.from_bytes(stream.read(8), "little")
        stream.seek(8 + header)
        return hashlib.file_digest(stream, "sha256").hexdigest()
