"""Who may ask: hosts, origins, tokens, content types. Pure ASGI, before any route.

A page elsewhere must not reach this server through its visitor's browser: neither under a name of its own that
resolves to this machine (the Host is checked), nor by a request across sites (Origin and Sec-Fetch-Site are), nor by a
form (JSON is asked for). Other machines, and with a token everybody, must know the token.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from limner.errors import ConfigError
from limner.serve.errors import Fault, fault
from limner.serve.refusing import Word, answer
from limner.serve.tokens import Tokens

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN = frozenset({"/livez", "/login", "/login.js", "/login.css"})
"""Paths that need no token."""
FORMS = ("/ui/", "/login", "/v1/images/edits", "/v1/images/variations", "/api/v1/inputs")
"""Where a form may be sent; everywhere else it is JSON."""
BODIES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
ABOUT_HOST = "start the server with --allow-host NAME to serve it under that name"
ABOUT_TOKEN = "Authorization: Bearer TOKEN, or the link that the server showed when it started"


@dataclass(frozen=True)
class Guard:
    """Whom a server answers: requests to one of ``hosts`` (or to any IP address, with ``any_address``), and where there
    are ``tokens``, those that know one."""

    hosts: frozenset[str] = LOOPBACK
    any_address: bool = False
    tokens: Tokens | None = None

    @classmethod
    def of(cls, host: str, token: str | None, names: Sequence[str] = ()) -> Guard:
        """For a server that listens on ``host``. Raises ``ConfigError`` where others could reach it without a token."""
        local = is_loopback(host)
        if not local and token is None:
            raise ConfigError(
                f"{host} can be reached by other machines: a token is needed",
                hint="limner serve --host ... --token new makes one; or listen on 127.0.0.1",
            )
        own = set() if local else {host.lower(), socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}
        hosts = frozenset(LOOPBACK | own | {name.lower() for name in names})
        return cls(hosts, not local, None if token is None else Tokens(token))

    @property
    def private(self) -> bool:
        """Whether only this machine is answered: the server listens on loopback, under no name given to it."""
        return not self.any_address and self.hosts <= LOOPBACK

    def knows(self, header: str) -> bool:
        """Whether a Host header names this server."""
        name = host_of(header)
        if name is None:
            return False
        return name in self.hosts or (self.any_address and is_address(name))


class Security:
    """Middleware. ``word`` gives a Fault the shape of its dialect."""

    def __init__(self, app: ASGIApp, guard: Guard, word: Word) -> None:
        self._app, self._guard, self._word = app, guard, word

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        path, method = str(scope["path"]), str(scope["method"])
        found = (
            _wrong_host(headers, self._guard)
            or _foreign(headers, method)
            or _unknown(headers, scope, path, self._guard.tokens)
            or _wrong_type(headers, method, path)
        )
        if found is None:
            await self._app(scope, receive, send)
        elif found.status == 401 and method == "GET" and "text/html" in headers.get("accept", ""):
            await answer(_to_login(found), self._word, scope, receive, send)
        else:
            await answer(found, self._word, scope, receive, send)


def _wrong_host(headers: Headers, guard: Guard) -> Fault | None:
    hosts = headers.getlist("host")
    if len(hosts) == 1 and guard.knows(hosts[0]):
        return None
    named = hosts[0][:80] if hosts else ""
    return fault(421, f"this server is not {named!r}", code="wrong_host", hint=ABOUT_HOST)


def _foreign(headers: Headers, method: str) -> Fault | None:
    """Another site asks. A link from one to a page here is allowed; what a page there fetches or sends is not."""
    origins = headers.getlist("origin")
    if origins and (len(origins) > 1 or not _same(origins[0], headers["host"])):
        return fault(403, "another site may not ask this server", code="foreign_origin")
    if origins or headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return None
    followed = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    if followed and headers.get("sec-fetch-dest") == "document":
        return None
    return fault(403, "another site may not ask this server", code="foreign_origin")


def _unknown(headers: Headers, scope: Scope, path: str, tokens: Tokens | None) -> Fault | None:
    if tokens is None or path in OPEN or path.startswith("/static/"):
        return None
    client = str((scope.get("client") or ("",))[0])
    if tokens.known(headers.get("authorization"), headers.get("cookie"), client):
        return None
    if "authorization" in headers and (wait := tokens.wait(client)) > 0:
        found = fault(429, "too many wrong tokens", code="too_many_attempts", hint=f"wait {wait} seconds")
        return Fault(found.status, found.trouble, {**found.headers, "retry-after": str(wait)})
    found = fault(401, "the token is missing or wrong", code="unauthorized", hint=ABOUT_TOKEN)
    return Fault(found.status, found.trouble, {**found.headers, "www-authenticate": 'Bearer realm="limner"'})


def _wrong_type(headers: Headers, method: str, path: str) -> Fault | None:
    """A page elsewhere can send forms and plain text without asking first, JSON it cannot."""
    if method not in BODIES:
        return None
    empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    given = headers.getlist("content-type")
    if empty and not given:
        return None
    kind = given[0].partition(";")[0].strip().lower() if len(given) == 1 else ""
    forms = any(path.startswith(each) for each in FORMS)
    if kind == "application/json" or (forms and kind in _FORM_TYPES):
        return None
    if path == "/api/v1/inputs" and kind.startswith("image/"):
        return None
    if empty and kind in _FORM_TYPES:  # what a client says of a body that it does not send
        return None
    wanted = "application/json or a form" if forms else "application/json"
    return fault(415, f"the body's content type must be {wanted}", hint="send the header Content-Type")


_FORM_TYPES = frozenset({"multipart/form-data", "application/x-www-form-urlencoded"})


def _to_login(found: Fault) -> Fault:
    """A person's browser gets the page that asks for the token; the fragment of a link stays with it."""
    return Fault(303, found.trouble, {**found.headers, "location": "/login"})


def _same(origin: str, host: str) -> bool:
    """Whether an Origin is the site that was asked. ``null`` (a sandboxed page, a file) is not."""
    scheme, separator, rest = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and rest.lower() == host.lower()


def host_of(header: str) -> str | None:
    """The name in a Host header, without port and brackets; ``None`` where it is no host."""
    name, port = header.strip().lower(), ""
    if name.startswith("["):
        name, bracket, rest = name[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif ":" in name:
        name, _, port = name.partition(":")
    if not name or (port and not (port.isascii() and port.isdigit() and len(port) <= 5)):
        return None
    return name.removesuffix(".")


def is_address(name: str) -> bool:
    """Whether a name is an IP address, written as one writes it."""
    try:
        return str(ipaddress.ip_address(name)) == name
    except ValueError:
        return False


def refuse_adult(level: str, host: str, names: Sequence[str] = ()) -> None:
    """Raises ``ConfigError`` where the level ``adult`` would be offered to others than this machine's own user."""
    if level == "adult" and (not is_loopback(host) or names):
        where = host if not is_loopback(host) else f"the name {names[0]}"
        raise ConfigError(
            f"the level adult is for this machine alone, and {where} may be reached from others",
            hint="serve on 127.0.0.1 without --allow-host, or at the level standard",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
"""Of every answer. ``no-referrer`` would make a browser say ``Origin: null`` with its own forms."""
