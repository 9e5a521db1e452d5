"""Whether the hub's name can be looked up at all: where it cannot, waiting and trying again would change nothing."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from limner.errors import NetworkError

HUB = "https://huggingface.co"
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


def endpoint() -> str | None:
    """The hub's address where it is not the usual one."""
    return os.environ.get("HF_ENDPOINT") or None


def check_name(what: str) -> None:
    """Raise ``NetworkError`` where the hub's name does not resolve. Behind a proxy, which does that itself, nothing is
    asked; nor where the process is offline, which the hub's library says."""
    if any(os.environ.get(each) or os.environ.get(each.lower()) for each in _PROXIES):
        return
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return
    parts = urlsplit(endpoint() or HUB)
    try:
        socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NetworkError(
            f"the Hugging Face hub could not be reached for {what}: {parts.hostname} is not found from this machine",
            hint="check the connection and run the same command again; files that arrived are kept",
        ) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the hub library's warnings of retries off stderr: it is the progress bar's, and errors are raised."""
    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
