"""How much may be sent, and how slowly. Pure ASGI: sizes are checked before a body is read, and while it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from limner.errors import LimnerError
from limner.serve.errors import Fault, fault
from limner.serve.refusing import Word, answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

KIB, MIB = 1024, 2**20
MOST: Mapping[str, int] = {
    "/v1/images/edits": 64 * MIB,
    "/v1/images/variations": 32 * MIB,
    "/sdapi/": 64 * MIB,
    "/api/v1/inputs": 32 * MIB,
    "/ui/inputs": 32 * MIB,
    "/api/v1/jobs": MIB,
}
"""Bytes of a body, by the beginning of its path; the longest that fits holds."""
ELSE = 256 * KIB
TOGETHER = 256 * MIB
"""Bytes of all bodies that are being read and answered; beyond that a server would go under."""
PAUSE = 10.0  # seconds between two parts of a body
WHOLE = 120.0  # seconds for all of it


class TooMuch(LimnerError):
    """A body is larger than may be sent there."""

    code = "too_large"


class TooSlow(LimnerError):
    """A body did not come in time."""

    code = "timeout"


class Limits:
    """Middleware. ``pause`` and ``whole`` are seconds; ``together`` is the room for all bodies at once."""

    def __init__(
        self, app: ASGIApp, word: Word, *, pause: float = PAUSE, whole: float = WHOLE, together: int = TOGETHER
    ) -> None:
        self._app, self._word = app, word
        self._pause, self._whole, self._room = pause, whole, together

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        most = most_of(str(scope["path"]))
        declared = _declared(headers)
        if declared is None:
            await answer(fault(400, "Content-Length is no number"), self._word, scope, receive, send)
            return
        size = most if "transfer-encoding" in headers else declared
        if declared > most:
            await answer(_too_large(most), self._word, scope, receive, send)
        elif size > self._room and size > 0:
            await answer(_no_room(), self._word, scope, receive, send)
        else:
            self._room -= size
            try:
                await self._limited(scope, receive, send, most)
            finally:
                self._room += size

    async def _limited(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        body = _Body(receive, most, self._pause, self._whole)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            if body.found is not None and not started:
                return  # what the application says of a body that was cut; the reason is said instead
            started = True
            await send(message)

        try:
            await self._app(scope, body.receive, watched)
        except (TooMuch, TooSlow):
            if started:
                raise
        if body.found is not None and not started:
            await answer(body.found, self._word, scope, receive, send)


class _Body:
    """A body that is counted and timed. Once something is ``found`` wrong with it, the application reads no further."""

    def __init__(self, receive: Receive, most: int, pause: float, whole: float) -> None:
        self._receive, self._most, self._pause, self._whole = receive, most, pause, whole
        self._read = 0
        self._began: float | None = None
        self._over = False
        self.found: Fault | None = None

    async def receive(self) -> Message:
        if self._over:
            return await self._receive()  # waits for the client to hang up, however long
        self._began = self._began or time.monotonic()
        left = self._began + self._whole - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, min(self._pause, left)))
        except TimeoutError:
            self.found = fault(408, "the body did not come in time", hint="send it faster, or less of it")
            raise TooSlow("the body did not come in time") from None
        self._over = message["type"] != "http.request" or not message.get("more_body", False)
        self._read += len(message.get("body", b""))
        if self._read > self._most:
            self.found = _too_large(self._most)
            raise TooMuch("the body is too large")
        return message


def most_of(path: str) -> int:
    """Bytes that may be sent to a path."""
    fitting = [each for each in MOST if path.startswith(each)]
    return MOST[max(fitting, key=len)] if fitting else ELSE


def _declared(headers: Headers) -> int | None:
    given = headers.getlist("content-length")
    if not given:
        return 0
    text = given[0]
    return int(text) if len(given) == 1 and text.isascii() and text.isdigit() and len(text) < 16 else None


def _too_large(most: int) -> Fault:
    size = f"{most // MIB} MB" if most >= MIB else f"{most // KIB} KB"
    return fault(413, f"the body is too large: {size} may be sent here", hint="upload smaller pictures")


def _no_room() -> Fault:
    found = fault(503, "too much is being uploaded at once", code="busy", hint="try again in a moment")
    trouble = found.trouble.model_copy(update={"retry": True})
    return Fault(503, trouble, {"x-should-retry": "true", "retry-after": "2"})
