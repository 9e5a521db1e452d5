"""Where checks attach: what looks at a prompt before it is drawn and at pixels before they are kept or shown.

Checks come from the registry (``limner.checks``). There is none yet; the safety room brings the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from limner import registry
from limner.errors import ConfigError
from limner.types import Notice

if TYPE_CHECKING:
    from limner.types import Pixels


@runtime_checkable
class Check(Protocol):
    """Looks at one subject and says what it found; raises ``Refused`` where policy forbids it."""

    def check_prompt(self, prompt: str, negative: str) -> Sequence[Notice]: ...

    def check_pixels(self, pixels: Pixels) -> Sequence[Notice]: ...


def checks() -> tuple[Check, ...]:
    """Every registered check, made once a session. Raises ``ConfigError`` where one is not a check."""
    return tuple(_make(name) for name in registry.names("checks"))


def _make(name: str) -> Check:
    factory = registry.load("checks", name)
    made = factory() if callable(factory) else None
    if not isinstance(made, Check):
        raise ConfigError(f"the check {name!r} is not one", hint="it needs check_prompt and check_pixels")
    return made
