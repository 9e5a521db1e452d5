"""Writing files so that they are whole or not there, and what the system says of a disk, in plain words."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from limner.errors import StorageError


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` under ``path`` so that a reader, or a power cut, meets the whole file or none.

    The bytes go to a temporary file in the same folder, to the disk, then under their name. Missing folders are made.
    Raises ``StorageError`` naming the path; the temporary file is removed then.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".tmp", dir=path.parent)
        try:
            _write_all(handle, data)
            if hasattr(os, "fchmod"):  # mkstemp makes files private; give what an ordinary save would
                os.fchmod(handle, 0o666 & ~_UMASK)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, path)  # noqa: PTH105
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = os.write(handle, view)
        if written == 0:
            raise OSError(errno.EIO, "nothing was written")
        view = view[written:]


def _read_umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


_UMASK = _read_umask()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open a folder for fsync
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network filesystems have no folder fsync
            raise
    finally:
        os.close(handle)


def storage_error(error: OSError, path: Path) -> StorageError:
    """A ``StorageError`` that says in plain words what the system said about ``path``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"the disk is full: {path} could not be written", hint="free some space, or set LIMNER_HOME to another disk"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(
            f"{path.parent} is not writable: {path.name} could not be written there",
            hint="choose another folder, or set LIMNER_HOME",
        )
    if error.errno == errno.ENAMETOOLONG:
        return StorageError(f"the file name {path.name[:60]!r}... is too long", hint="choose a shorter name")
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return StorageError(
            f"{path} could not be written: {error.strerror}", hint="another file is in the way; choose another name"
        )
    return StorageError(
        f"{path} could not be written: {error.strerror or error}", hint="check the disk (limner doctor)"
    )
