"""A lock that a server and its worker process hold together: it is free only when both have gone.

A worker may outlive a server that was killed by a moment, with a picture still to be stored. The next server waits for
it before it looks at what was left.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from limner.disk import storage_error
from limner.serve.home import AlreadyServed

NAME = "worker.lock"
PATIENCE = 30.0  # seconds
_PAUSE = 0.02


class Alive:
    """``root/worker.lock``. The worker process is given ``fds``, and holds the lock by having them open."""

    def __init__(self, root: Path) -> None:
        self.path = root / NAME
        self._fd: int | None = None

    def take(self, patience: float = PATIENCE) -> None:
        """Waits while another has it. Raises ``AlreadyServed`` after ``patience`` seconds, ``StorageError``."""
        end = time.monotonic() + patience
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise storage_error(error, self.path) from error
        while not _locked(fd):
            if time.monotonic() >= end:
                os.close(fd)
                raise AlreadyServed(
                    f"a server of {self.path.parent}, or the worker process of one that ended, still runs",
                    hint="stop it, or set LIMNER_HOME to another folder",
                )
            time.sleep(_PAUSE)
        self._fd = fd

    @property
    def fds(self) -> tuple[int, ...]:
        """What a child must inherit. Elsewhere than on POSIX systems nothing: there only the server holds the lock."""
        return () if self._fd is None or sys.platform == "win32" else (self._fd,)

    def release(self) -> None:
        """This process's part in it. A child's stays: the lock is of the open file, not of the process."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _locked(fd: int) -> bool:
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
