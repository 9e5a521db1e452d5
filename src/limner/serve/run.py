"""``limner serve`` from flags to the end: check, lock, listen, serve, drain."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

from limner.serve.app import GRACE, create_app
from limner.serve.crew import COMMAND
from limner.serve.dispatch import Options
from limner.serve.home import note, owned
from limner.serve.listening import Server, listen, url_of
from limner.serve.log import set_up
from limner.serve.security import Guard
from limner.serve.service import Service
from limner.serve.tokens import token_of

if TYPE_CHECKING:
    from limner.config import Settings
    from limner.serve.shell import Shell

MANY = 10_000  # jobs that are counted at the end
LEFT_OUT: Mapping[str, str] = {
    "metadata": "the watermark",
    "none": "watermark, signed manifest and source type",
}
"""What pictures lack, by ``safety.marks``."""


@dataclass(frozen=True)
class Serving:
    """What the flags said. ``names`` are hosts by which clients may call the server beside those known anyway;
    ``command`` is the worker process."""

    host: str = "127.0.0.1"
    port: int = 7860
    token: str | None = None
    token_file: Path | None = None
    names: tuple[str, ...] = ()
    most_waiting: int = 200
    grace: float = GRACE
    browser: bool = False
    offline: bool | None = None
    json_logs: bool = False
    verbose: bool = False
    command: Sequence[str] = COMMAND


def run(settings: Settings, serving: Serving, told: Callable[[str], None] = print) -> None:
    """Serve until a signal, then finish what runs. ``told`` gets what people should know.

    Raises ``ConfigError``, ``AlreadyServed``, ``NotListening``, ``StorageError``, ``LibraryError``."""
    token = token_of(serving.token, serving.token_file)
    guard = Guard.of(serving.host, token, serving.names)
    set_up(as_json=serving.json_logs, verbose=serving.verbose)
    with owned(settings.data), contextlib.closing(listen(serving.host, serving.port)) as bound:
        url = url_of(bound)
        options = Options(most_waiting=serving.most_waiting, offline=serving.offline, command=serving.command)
        service = Service(settings, options)
        app = create_app(service, guard, grace=serving.grace)
        server = Server(app, serving.grace, partial(_stopping, app.state.shell, serving.grace, told))
        note(settings.data, url)
        door = url if token is None else f"{url}/login#token={token}"
        told(f"Limner serves at {door}   (Ctrl-C ends it)")
        if without := LEFT_OUT.get(settings.protection.marks):
            told(f'[safety] marks = "{settings.protection.marks}": pictures are written without {without}')
        if serving.browser:
            threading.Timer(1.0, webbrowser.open, (door,)).start()
        _serve(server, bound)


def _serve(server: Server, bound: socket) -> None:
    """uvicorn raises the signal again when it has ended; a drained server has ended well."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    asyncio.run(server.serve(sockets=[bound]))


def _stopping(shell: Shell, grace: float, told: Callable[[str], None]) -> None:
    """The signal's handler: what people are told waits until it has returned."""
    if not shell.closing.is_set():
        shell.close_within(grace)
        asyncio.run_coroutine_threadsafe(_say(shell.service, grace, told), asyncio.get_running_loop())


async def _say(service: Service, grace: float, told: Callable[[str], None]) -> None:
    """How long the end may take, where anything is left to do."""
    running, waiting = map(len, await service.standing(MANY))
    if running or waiting:
        jobs = "1 job" if running == 1 else f"{running} jobs"
        told(f"finishing {jobs}, up to {grace:g} s; {waiting} wait{'s' if waiting == 1 else ''} in the queue")
