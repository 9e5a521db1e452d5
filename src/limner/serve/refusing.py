"""Faults found before any route: a way to answer them in the shape of the dialect that was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from limner.serve.errors import Fault

Word = Callable[[HTTPConnection, "Fault"], "Response"]


async def answer(found: Fault, word: Word, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a Fault; the connection ends with it, for nobody reads what else was sent."""
    response = word(HTTPConnection(scope), found)
    response.headers["connection"] = "close"
    await response(scope, receive, send)
