"""The token: who knows it, and how often one may guess."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from limner.errors import ConfigError

COOKIE = "limner_token"
LEAST = 12  # characters
GUESSES = 10  # wrong tokens a client may send in MINUTE
MINUTE = 60.0
REMEMBERED = 1_000  # clients
YEAR = 365 * 86_400


class Tokens:
    """One token. A browser keeps a cookie made of it, which is worth nothing elsewhere."""

    def __init__(self, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = token.encode()
        self._clock = clock
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()
        self.cookie = hmac.new(self._token, b"limner cookie", hashlib.sha256).hexdigest()

    def known(self, authorization: str | None, cookies: str | None, client: str) -> bool:
        """Whether headers carry the token: as our cookie, as Bearer, or as the password of Basic. A wrong token counts,
        and who sent too many is not heard; a cookie, which nobody guesses, always is."""
        cookie = _of_cookies(cookies)
        if cookie is not None and hmac.compare_digest(cookie.encode("utf-8", "replace"), self.cookie.encode()):
            return True
        given = _of_header(authorization)
        return given is not None and self.wait(client) == 0 and self.right(given, client)

    def right(self, token: str, client: str) -> bool:
        """Whether this is the token. A wrong one counts."""
        if hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token):
            return True
        self._count(client)
        return False

    def wait(self, client: str) -> int:
        """Seconds until a client may try again; 0 is now."""
        recent = [at for at in self._wrong.get(client, ()) if self._clock() - at < MINUTE]
        return 0 if len(recent) < GUESSES else max(1, round(MINUTE - (self._clock() - recent[0])))

    def set_cookie(self, *, secure: bool) -> str:
        """The value of Set-Cookie."""
        more = "; Secure" if secure else ""
        return f"{COOKIE}={self.cookie}; Path=/; Max-Age={YEAR}; HttpOnly; SameSite=Strict{more}"

    def _count(self, client: str) -> None:
        now = self._clock()
        self._wrong[client] = [*(at for at in self._wrong.get(client, ()) if now - at < MINUTE), now][-GUESSES:]
        self._wrong.move_to_end(client)
        while len(self._wrong) > REMEMBERED:
            self._wrong.popitem(last=False)


def token_of(said: str | None, file: Path | None) -> str | None:
    """The token that the flags mean: their own, a file's, or (``new``) one made now. Raises ``ConfigError``."""
    if said is not None and file is not None:
        raise ConfigError("both --token and --token-file were given", hint="give one of them")
    if file is not None:
        try:
            said = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the token file {file} cannot be read: {error}", hint="check the file") from error
    if said == "new":
        return secrets.token_urlsafe(24)
    if said is not None and (len(said) < LEAST or not said.isascii() or not said.isprintable() or " " in said):
        raise ConfigError(
            f"a token has at least {LEAST} characters of ASCII without spaces", hint="--token new makes one"
        )
    return said


def _of_header(value: str | None) -> str | None:
    if not value:
        return None
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return ""


def _of_cookies(value: str | None) -> str | None:
    if not value:
        return None
    try:
        found = SimpleCookie(value).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value
