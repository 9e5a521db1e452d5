"""Fetching a suite from its publisher's repository, at one commit, checked by its hash."""

from __future__ import annotations

import hashlib
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from limner.disk import write_atomic
from limner.errors import CorruptFile, InvalidRequest, NetworkError, OfflineError
from limner.refine.suites.catalog import KNOWN, Suite
from limner.session import Session
from limner.version import VERSION

RAW = "https://raw.githubusercontent.com"
LARGEST = 20_000_000  # bytes; the largest known suite is a tenth of it
TIMEOUT = 60  # seconds without an answer


def address(suite: Suite) -> str:
    """The file at its commit."""
    return f"{RAW}/{suite.repo}/{suite.commit}/{suite.path}"


def fetch(suite: Suite, session: Session, *, again: bool = False) -> Path:
    """The suite's file, fetched unless it is here. Raises ``InvalidRequest`` for a suite that nobody has to fetch,
    ``OfflineError``, ``NetworkError``, ``CorruptFile`` where the file is not the published one, ``StorageError``."""
    if not suite.fetched:
        known = ", ".join(each.name for each in KNOWN if each.fetched)
        raise InvalidRequest(f"{suite.name} needs no fetching", field="suite", hint=f"those that do: {known}")
    path = suite.file(session.settings)
    if path.is_file() and not again:
        return path
    if session.offline:
        raise OfflineError(f"{suite.name} is not here, and the network is not to be used", hint="leave out --offline")
    data = _download(address(suite))
    found = hashlib.sha256(data).hexdigest()
    if suite.sha256 is not None and found != suite.sha256:
        raise CorruptFile(
            f"what {address(suite)} gives is not the published {suite.name}: sha256 {found[:12]}…",
            hint="nothing was kept; try again, and report it if it stays so",
        )
    write_atomic(path, data)
    return path


def _download(url: str) -> bytes:
    asked = Request(url, headers={"User-Agent": f"limner/{VERSION}"})  # https, by a constant of ours
    try:
        with urlopen(asked, timeout=TIMEOUT) as answer:
            data: bytes = answer.read(LARGEST + 1)
    except (OSError, HTTPException) as error:
        raise NetworkError(
            f"{url} cannot be read: {error}", hint="try again; or see whether this machine is online"
        ) from error
    if len(data) > LARGEST:
        raise NetworkError(f"{url} is larger than any suite", hint="nothing was kept")
    return data
