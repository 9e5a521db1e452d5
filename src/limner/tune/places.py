"""Where a run keeps what it makes. Torch-free."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from limner.disk import storage_error
from limner.errors import InvalidRequest, StorageError

LOCK = ".lock"
STATE = "state.safetensors"


def folder_of(out: Path) -> Path:
    """The run's folder beside the file it makes."""
    return out.with_suffix(".tune")


def check_out(out: Path, *, resume: bool) -> None:
    """Raises ``InvalidRequest`` for a name that is none, or a file that would be written over, ``StorageError`` where
    nothing can be written. Nothing stays behind."""
    if out.suffix != ".safetensors":
        raise InvalidRequest(
            f"{out.name} does not end in .safetensors", field="out", hint=f"--out {out.stem}.safetensors"
        )
    _check_writable(out)
    if resume:
        return
    if (folder_of(out) / STATE).is_file():
        raise InvalidRequest(
            f"{folder_of(out)} holds a run already",
            field="out",
            hint=f"--resume goes on with it; to begin anew give another --out, or remove {out.name} and "
            f"{folder_of(out).name} beside it",
        )
    if out.exists():
        raise InvalidRequest(f"{out} exists", field="out", hint="give another --out, or move it away")


def _check_writable(out: Path) -> None:
    """In the nearest folder that there is; the others will be made in it."""
    if out.is_dir() or (folder_of(out).exists() and not folder_of(out).is_dir()):
        there = out if out.is_dir() else folder_of(out)
        raise StorageError(f"{there} is in the way of what is to be written", hint="give another --out")
    absolute = out.absolute()
    folder = next(each for each in absolute.parents if os.path.lexists(each))
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise storage_error(error, out) from error


class Busy:
    """Held while a run writes to its folder, so that two of them cannot at once. Let go of with the process."""

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / LOCK, timeout=0)
        self._folder = folder

    def hold(self) -> None:
        """Raises ``InvalidRequest`` where another run holds it, ``StorageError``."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise InvalidRequest(
                f"another run writes to {self._folder}", field="out", hint="wait for it, or give another --out"
            ) from None
        except OSError as error:
            raise storage_error(error, self._folder / LOCK) from error

    def let_go(self) -> None:
        self._lock.release()


def refuse_busy(folder: Path) -> None:
    """As ``Busy.hold``, at once let go of; nothing is made where nothing is."""
    if (folder / LOCK).is_file():
        busy = Busy(folder)
        busy.hold()
        busy.let_go()
