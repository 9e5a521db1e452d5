"""Where checks attach: a check looks at a prompt before it is drawn. They come from the registry (``limner.checks``);
those of pictures are asked by :mod:`limner.session.looking`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from limner import registry
from limner.errors import ConfigError
from limner.safety.checks.check import Check as OfPictures
from limner.types import Notice


@runtime_checkable
class Check(Protocol):
    """Looks at a prompt and says what it found; raises ``Refused`` where policy forbids it."""

    def check_prompt(self, prompt: str, negative: str) -> Sequence[Notice]: ...


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


def _make(kind: registry.Kind, name: str) -> object:
    factory = registry.load(kind, name)
    return factory() if callable(factory) else factory
