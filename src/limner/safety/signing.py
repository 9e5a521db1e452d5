"""Signing in practice: which key, and what is done where it does not sign. A picture is never lost over it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from limner.errors import SigningError
from limner.safety import keys
from limner.safety.credentials import Claim, Format, sign
from limner.safety.keys import Key
from limner.types import Notice

# The least picture there is, to try a key on: 1 x 1 pixels of a PNG.
_DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63600000000200014"
    "8afa4710000000049454e44ae426082"
)
_TRIAL = Claim(source="trainedAlgorithmicMedia", created="2026-01-01T00:00:00Z", picture={})
NOT_SIGNED = "not-signed"
KEY_NOTICES = frozenset({NOT_SIGNED, "new-signing-key", "signing-key-not-kept", "own-certificate", "no-time-stamp"})
"""Codes of everything that is said of signing."""


@dataclass(slots=True)
class Signing:
    """Signs with the user's certificate where one is set, else with this installation's key in ``folder``.

    ``timestamp`` is the address of a time-stamp authority, asked only where one is set. Safe in several threads.
    """

    folder: Path
    certificate: Path | None = None
    private: Path | None = None
    timestamp: str | None = None
    _key: Key | None = None
    _notices: tuple[Notice, ...] = ()
    _error: SigningError | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def prepare(self) -> tuple[Notice, ...]:
        """Find or make the key, and try it, once. What is to be said of it: nothing, where all is well.

        Raises ``SigningError`` where nothing here can sign."""
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._key is None:
                try:
                    self._key, self._notices = self._found()
                except SigningError as error:
                    self._error = error
                    raise
            return self._notices

    def sign(self, data: bytes, format: Format, claim: Claim) -> tuple[bytes, tuple[Notice, ...]]:
        """The file with a signed manifest, and what has to be said of this signature beyond ``prepare``'s. Raises
        ``SigningError``."""
        self.prepare()
        assert self._key is not None
        if self.timestamp is None:
            return sign(data, format, claim, self._key), ()
        try:
            return sign(data, format, claim, self._key, timestamp=self.timestamp), ()
        except SigningError as error:
            notice = Notice(code="no-time-stamp", message=f"signed without a time stamp: {error.message}")
            return sign(data, format, claim, self._key), (notice,)

    def _found(self) -> tuple[Key, tuple[Notice, ...]]:
        if self.certificate is None and self.private is None:
            return self._local()
        try:
            own = keys.own_key(self.certificate, self.private)
            sign(_DOT, "png", _TRIAL, own)
        except SigningError as error:
            if not error.certificate:
                raise
            key, notices = self._local()
            said = f"{error.message}: pictures are signed with this installation's own key instead"
            return key, (Notice(code="own-certificate", message=said), *notices)
        return own, ()

    def _local(self) -> tuple[Key, tuple[Notice, ...]]:
        key, notices = keys.local_key(self.folder)
        try:
            sign(_DOT, "png", _TRIAL, key)
        except SigningError as error:
            if not error.certificate or not key.stored:
                raise
            key, notices = keys.renewed(self.folder, error.message)
            sign(_DOT, "png", _TRIAL, key)
        return key, notices
