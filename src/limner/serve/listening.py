"""The socket a server listens on, and uvicorn round it."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import math
import socket
from collections.abc import Callable
from types import FrameType

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from limner.errors import ResourceError

BACKLOG = 512
KEEP_ALIVE = 15
HEADERS_IN = 10.0  # seconds from a connection, or a request's first byte, to the end of its headers
MOST_CONNECTIONS = 1_000
MOST_HEADER = 32 * 1024


class NotListening(ResourceError):
    """The address cannot be had."""

    code = "not_listening"


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises ``NotListening`` where the port is in use or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # said, so that asyncio sets TCP_NODELAY
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        found.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise NotListening(
                f"port {port} of {host} is in use", hint="another server? give another one: limner serve --port 7861"
            ) from error
        raise NotListening(f"cannot listen on {host} port {port}: {error}", hint="--host names an address") from error
    return found


def url_of(bound: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = bound.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1" if bound.family == socket.AF_INET else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Patient(H11Protocol):
    """HTTP/1.1 that hangs up on who begins a request and does not come to the end of its headers in time."""

    headers_in = HEADERS_IN
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.headers_in, self._hang_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:  # the headers are here
            self._disarm()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.headers_in, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hang_up(self) -> None:
        self._timer = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()


class Server(uvicorn.Server):
    """``stopping`` is called when a signal asks for the end, before open connections are waited for."""

    def __init__(self, app: ASGIApp, grace: float, stopping: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Patient,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=max(1, math.ceil(grace)),
                limit_concurrency=MOST_CONNECTIONS,
                h11_max_incomplete_event_size=MOST_HEADER,
            )
        )
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping()
        super().handle_exit(sig, frame)
