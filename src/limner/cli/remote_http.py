"""A server's API over the standard library's HTTP: JSON, files, server-sent events; its errors as our own."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from limner import errors
from limner.cli.remote import address
from limner.errors import InvalidRequest, LimnerError, Refused, ResourceError

if TYPE_CHECKING:
    from pydantic import JsonValue

Json: TypeAlias = "dict[str, JsonValue]"
CONNECT = 10.0  # seconds
SILENCE = 60.0  # seconds without a byte: a server that has nothing to tell says so every 15
LOST = (OSError, http.client.HTTPException)


class NoServer(ResourceError):
    """Nothing that speaks Limner's API answers there, or it stopped answering."""

    code = "no_server"


@dataclass(frozen=True, slots=True)
class Remote:
    """A server. Every method raises ``NoServer`` where it does not answer, and what it answers as the ``LimnerError``
    that it was there."""

    url: str
    token: str | None = None

    @classmethod
    def of(cls, said: str) -> Remote:
        """From what ``--server`` said. Raises ``ConfigError``."""
        return cls(*address(said))

    def get(self, path: str) -> Json:
        return _object(self.read("GET", path))

    def post(self, path: str, body: Mapping[str, JsonValue] | None = None, **headers: str) -> Json:
        data = json.dumps(body).encode() if body is not None else b""
        kind = {"content-type": "application/json"} if body is not None else {}
        return _object(self.read("POST", path, data, {**kind, **headers}))

    def send(self, path: str, data: bytes, kind: str) -> Json:
        """Send a file."""
        return _object(self.read("POST", path, data, {"content-type": kind}))

    def read(self, method: str, path: str, data: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
        """The bytes of an answer."""
        try:
            connection = self._connection()
            try:
                connection.request(method, self._whole(path), data or None, {**self._headers(), **(headers or {})})
                answer = connection.getresponse()
                body = answer.read()
            finally:
                connection.close()
        except LOST as error:
            raise self._none(error) from error
        if answer.status >= 300:
            raise error_of(answer.status, body, self.url)
        return body

    def events(self, path: str) -> Iterator[tuple[str, Json]]:
        """(name, data) of server-sent events, to the end of the stream. A connection that is lost raises one of
        ``LOST``."""
        connection = self._connection()
        try:
            connection.request("GET", self._whole(path), headers=self._headers())
            answer = connection.getresponse()
            if answer.status >= 300:
                raise error_of(answer.status, answer.read(), self.url)
            name = ""
            while line := answer.readline():
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                if text.startswith("event:"):
                    name = text[6:].strip()
                elif text.startswith("data:"):
                    yield name, _object(text[5:].encode())
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        if parts.scheme == "https":
            context = ssl.create_default_context()
            found: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=CONNECT, context=context
            )
        else:
            found = http.client.HTTPConnection(parts.hostname, parts.port, timeout=CONNECT)
        found.connect()
        found.sock.settimeout(SILENCE)
        return found

    def _whole(self, path: str) -> str:
        """A server may lie below a path of another's."""
        return urlsplit(self.url).path + path

    def _headers(self) -> dict[str, str]:
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}

    def _none(self, error: Exception) -> NoServer:
        why = str(error) or type(error).__name__
        return NoServer(f"no server answers at {self.url}: {why}", hint="limner serve starts one")


def error_of(status: int, body: bytes, url: str) -> LimnerError:
    """An answer that is an error, as the error that it was on the server."""
    try:
        said = _object(body).get("error")
    except NoServer:
        said = None
    if not isinstance(said, dict):
        return NoServer(f"{url} answers with status {status}, and not as Limner does", hint="is that a Limner server?")
    return error_from(said, status)


def error_from(said: Mapping[str, JsonValue], status: int = 0) -> LimnerError:
    """A ``Trouble`` as the error that it was: its class by its code, which has the exit code too."""
    code, message, hint = (str(said.get(name) or "") for name in ("code", "message", "hint"))
    kind = _kinds().get(code) or _by_status(status)
    error = kind.__new__(kind)
    LimnerError.__init__(error, message, hint=hint)
    error.__dict__["code"] = code or kind.code
    if isinstance(error, InvalidRequest):
        error.field = None if said.get("field") is None else str(said["field"])
    if isinstance(error, Refused):
        error.category, error.rule = str(said.get("category") or ""), str(said.get("rule") or "")
        error.quoted, error.passes = (), hint
    return error


def _kinds() -> dict[str, type[LimnerError]]:
    def below(kind: type[LimnerError]) -> Iterator[type[LimnerError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from below(each)

    return {kind.code: kind for kind in reversed([*below(LimnerError)]) if kind.__module__ == errors.__name__}


def _by_status(status: int) -> type[LimnerError]:
    """The class of an error that is the server's own: a full queue, a wrong token."""
    if status in (400, 404, 405, 408, 413, 415, 422):
        return InvalidRequest
    if status in (401, 403, 421):
        return errors.ConfigError
    return ResourceError if status in (429, 502, 503, 504, 507) else LimnerError


def _object(data: bytes) -> Json:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NoServer("what answers there is no Limner server", hint="limner serve shows its URL when it starts")
    return found
