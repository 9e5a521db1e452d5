"""Where checks and marks attach, between the engine's pixels and the library.

A check looks at a prompt before it is drawn; those of pictures are asked by :mod:`limner.session.looking`. A mark
changes pixels, invisibly, after their hash is taken and before they are kept. All come from the registry
(``limner.checks``, ``limner.marks``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from limner import registry
from limner.errors import ConfigError
from limner.safety.checks.check import Check as OfPictures
from limner.types import Notice, Pixels, Record


@runtime_checkable
class Check(Protocol):
    """Looks at a prompt and says what it found; raises ``Refused`` where policy forbids it."""

    def check_prompt(self, prompt: str, negative: str) -> Sequence[Notice]: ...


@runtime_checkable
class Mark(Protocol):
    """Puts something into pixels that can be found again. The Record's ``pixel_hash`` is of the pixels before."""

    def mark(self, pixels: Pixels, record: Record) -> Pixels: ...


def checks() -> tuple[Check, ...]:
    """Every registered check of prompts, made once a session. Raises ``ConfigError`` where one is no check at all."""
    found = []
    for name in registry.names("checks"):
        made = _make("checks", name)
        if isinstance(made, Check):
            found.append(made)
        elif not isinstance(made, OfPictures):
            raise ConfigError(f"{name!r} is no check", hint="it needs check_prompt, or what looks at pictures needs")
    return tuple(found)


def marks() -> tuple[Mark, ...]:
    """Every registered mark, made once a session. Raises ``ConfigError`` where one is not a mark."""
    found = []
    for name in registry.names("marks"):
        made = _make("marks", name)
        if not isinstance(made, Mark):
            raise ConfigError(f"{name!r} is no mark", hint="it needs the method mark")
        found.append(made)
    return tuple(found)


def _make(kind: registry.Kind, name: str) -> object:
    factory = registry.load(kind, name)
    return factory() if callable(factory) else factory
