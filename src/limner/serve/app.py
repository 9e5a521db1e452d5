"""The application: the Service's life, the routes of each dialect, errors in each dialect's shape."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import logging
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import cast

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from limner import __version__
from limner.errors import LimnerError
from limner.serve.access import Access
from limner.serve.doomed import Doomed
from limner.serve.errors import Fault, fault_of, plain
from limner.serve.limits import Limits
from limner.serve.meters import Meters
from limner.serve.refusing import Word
from limner.serve.security import Guard, Security
from limner.serve.service import Service
from limner.serve.shell import Dialect, Shell
from limner.serve.thumbnails import Thumbnails

log = logging.getLogger("limner.serve")
LEFT = 499
"""What the log says of a request whose sender went away before all of it was here; other servers' number for it."""

ROUTERS = (
    "limner.serve.health",
    "limner.serve.meters",
    "limner.serve.login",
    "limner.serve.native",
    "limner.serve.openai",
    "limner.serve.a1111",
    "limner.serve.studio",
)
"""Modules with a ``router``, and perhaps a ``dialect``; one that does not exist has no routes."""
GRACE = 30.0


class Application(FastAPI):
    """FastAPI inside the checks that come before any route, and the headers that every answer gets."""

    def build_middleware_stack(self) -> ASGIApp:
        shell = cast(Shell, self.state.shell)
        word = cast(Word, self.state.word)
        inner = Limits(super().build_middleware_stack(), word)
        return Access(Security(inner, shell.guard, word), shell.meters)


def create_app(service: Service, guard: Guard | None = None, *, grace: float = GRACE) -> FastAPI:
    """The application round a Service that is not started yet: its life is the application's.

    ``guard`` says who may ask (this machine). ``grace``: seconds that a stop waits for what runs. Every error is
    answered in the shape of the dialect below whose prefix it was asked.
    """
    shell = Shell(
        service,
        Meters(service),
        guard or Guard(),
        Doomed(service.session.library),
        Thumbnails(service.settings.cache_root / "thumbnails"),
    )
    modules = [importlib.import_module(name) for name in ROUTERS if importlib.util.find_spec(name) is not None]
    dialects = [each for module in modules if isinstance(each := getattr(module, "dialect", None), Dialect)]

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        counting = asyncio.create_task(_count(shell), name="limner-meters")
        try:
            yield
        finally:
            shell.close()
            counting.cancel()
            await shell.doomed.close()
            await service.stop(grace)

    app = Application(
        title="Limner",
        version=__version__,
        lifespan=life,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.shell = shell
    app.state.word = partial(worded, dialects=dialects)
    _answer_errors(app, dialects)
    for module in modules:
        router = module.router
        assert isinstance(router, APIRouter), module.__name__
        app.include_router(router)
    return app


async def _count(shell: Shell) -> None:
    async for tiding in shell.service.listen():
        shell.meters.heard(tiding)


def worded(connection: HTTPConnection, found: Fault, dialects: Iterable[Dialect]) -> Response:
    """A Fault in the shape of the dialect that was asked."""
    path = str(connection.scope["path"])
    below = [each for each in dialects if path == each.prefix or path.startswith(f"{each.prefix}/")]
    dialect = max(below, key=lambda each: len(each.prefix), default=None)
    return plain(connection, found) if dialect is None else dialect.worded(connection, found)


def _answer_errors(app: FastAPI, dialects: Iterable[Dialect]) -> None:
    dialects = tuple(dialects)

    async def answer(request: Request, error: Exception) -> Response:
        found = fault_of(error)
        if found.status >= 500 and not isinstance(error, LimnerError):
            log.error("%s %s broke", request.method, request.url.path, exc_info=error)
        return worded(request, found, dialects)

    async def gone(_: Request, error: Exception) -> Response:
        return Response(status_code=LEFT)  # nobody reads it

    app.add_exception_handler(ClientDisconnect, gone)
    for kind in (LimnerError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)
