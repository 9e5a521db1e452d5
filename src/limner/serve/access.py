"""Around everything: each answer gets its headers and a request id, is counted, and logged. Pure ASGI."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from limner.serve.meters import Meters
from limner.serve.security import HEADERS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("limner.serve.access")
_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Access:
    """Middleware, the outermost. Headers that a route has set itself stay as they are."""

    def __init__(self, app: ASGIApp, meters: Meters, headers: Mapping[str, str] = HEADERS) -> None:
        self._app, self._meters, self._headers = app, meters, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        name = given if _ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = name
        began, status, size = time.perf_counter(), 0, 0

        async def marked(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for key, value in self._headers.items():
                    headers.setdefault(key, value)
                headers.setdefault("cache-control", "no-store")
                headers["x-request-id"] = name
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, marked)
        except Exception:
            if status == 0:  # nobody has answered: then the server does
                raise
            log.exception("broke", extra={"id": name, "method": scope["method"], "path": scope["path"]})
        finally:
            self._told(scope, name, status, size, time.perf_counter() - began)

    def _told(self, scope: Scope, name: str, status: int, size: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        self._meters.answered(method, template(scope), status, seconds)
        facts = {"id": name, "method": method, "path": scope["path"][:200], "status": status}
        log.info("answered", extra={**facts, "ms": round(seconds * 1000, 1), "bytes": size})


def template(scope: Scope) -> str:
    """The path as its route is written, so that no more is counted than there are routes; "none" where none fits."""
    if "endpoint" not in scope:
        return "none"
    parts = str(scope["path"]).split("/")
    for name, value in scope.get("path_params", {}).items():
        places = [k for k, part in enumerate(parts) if part == str(value)]
        if places:
            parts[places[-1]] = f"{{{name}}}"
    return "/".join(parts)
