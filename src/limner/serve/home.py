"""One server for each home: a lock, and a note that says where it listens."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from limner.disk import storage_error, write_atomic
from limner.errors import ResourceError

LOCK = "serve.lock"
NOTE = "serve.json"


class AlreadyServed(ResourceError):
    """Another server has this home."""

    code = "already_served"


@contextlib.contextmanager
def owned(data: Path) -> Iterator[None]:
    """Be the only server of a home's data. Raises ``AlreadyServed`` naming the other one, ``StorageError``."""
    from filelock import FileLock, Timeout

    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = FileLock(data / LOCK)
        lock.acquire(blocking=False)
    except Timeout:
        where = noted(data)
        said = "" if where is None else f" at {where}"
        raise AlreadyServed(
            f"a server of {data} runs already{said}", hint="use that one, stop it, or set LIMNER_HOME to another folder"
        ) from None
    except OSError as error:
        raise storage_error(error, data / LOCK) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (data / NOTE).unlink(missing_ok=True)
        lock.release()


def note(data: Path, url: str) -> None:
    """Leave word of where the server of this home listens. Raises ``StorageError``."""
    write_atomic(data / NOTE, json.dumps({"url": url, "pid": os.getpid()}).encode())


def noted(data: Path) -> str | None:
    """The URL at which a server of this home said it listens; it may be gone."""
    try:
        found = json.loads((data / NOTE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    url = found.get("url") if isinstance(found, dict) else None
    return url if isinstance(url, str) else None
