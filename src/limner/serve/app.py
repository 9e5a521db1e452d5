"""The application: the Service's life, the routes of each dialect, errors in each dialect's shape."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
from collections.abc import AsyncIterator, Iterable

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from limner import __version__
from limner.errors import LimnerError
from limner.serve.errors import Fault, fault_of, plain
from limner.serve.service import Service
from limner.serve.shell import Dialect, Shell

log = logging.getLogger("limner.serve")

ROUTERS = (
    "limner.serve.health",
    "limner.serve.native",
    "limner.serve.openai",
    "limner.serve.a1111",
    "limner.serve.studio",
)
"""Modules with a ``router``, and perhaps a ``dialect``; one that does not exist has no routes."""
GRACE = 30.0


def create_app(service: Service, *, grace: float = GRACE) -> FastAPI:
    """The application round a Service that is not started yet: its life is the application's.

    ``grace``: seconds that a stop waits for what runs. Every error is answered in the shape of the dialect below whose
    prefix it was asked.
    """
    shell = Shell(service)
    modules = [importlib.import_module(name) for name in ROUTERS if importlib.util.find_spec(name) is not None]
    dialects = [each for module in modules if isinstance(each := getattr(module, "dialect", None), Dialect)]

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            shell.close()
            await service.stop(grace)

    app = FastAPI(
        title="Limner",
        version=__version__,
        lifespan=life,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.shell = shell
    _answer_errors(app, dialects)
    for module in modules:
        router = module.router
        assert isinstance(router, APIRouter), module.__name__
        app.include_router(router)
    return app


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

    for kind in (LimnerError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)
