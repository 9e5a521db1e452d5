"""Which checkers look at pictures: the ones that the settings name, else the first that is on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from limner import registry
from limner.errors import ConfigError, UnknownName
from limner.safety.checks.check import Check, CheckCard
from limner.types import SafetyLevel

AUTO = "auto"
ORDER = ("marqo", "falconsai", "compvis")
"""Small and quick first. A model of gigabytes that looks at a picture for seconds is used where it is named."""
DEFAULT = ORDER[0]


def made(name: str) -> Check:
    """A checker by its registered name. Raises ``UnknownName``, ``ConfigError``."""
    factory = registry.load("checks", name)
    found: object = factory() if callable(factory) else factory
    if not isinstance(found, Check) or not isinstance(found.card, CheckCard):
        raise ConfigError(f"{name!r} is no check of pictures", hint="it needs a CheckCard, missing and check")
    return found


def command(name: str = DEFAULT) -> str:
    """What fetches a checker."""
    return f"limner safety pull {name}"


class Panel:
    """The checkers of a session; each is made once and keeps its weights.

    ``said`` is the setting: names, or ``auto``. ``origin`` is where that was said.
    """

    def __init__(self, said: str, origin: str = "", make: Callable[[str], Check] = made) -> None:
        self._said, self._origin, self._make = said, origin, make
        self._made: dict[str, Check] = {}

    def of(self, level: SafetyLevel) -> Sequence[Check]:
        """Those that look at pictures on a level, all of them here; none where none is.

        On ``adult`` only those that know of what no level allows. Raises ``ConfigError`` for a name in the settings
        that is unknown or not here: what was asked for is not replaced.
        """
        found = self._named() if self._said.strip() != AUTO else self._first(level)
        return [each for each in found if level != "adult" or "sexual_minors" in each.card.categories]

    def _named(self) -> Sequence[Check]:
        found = []
        for name in dict.fromkeys(part.strip() for part in self._said.split(",") if part.strip()):
            try:
                check = self._get(name)
            except UnknownName as error:
                raise ConfigError(f"{self._origin}: [safety] checker: {error.message}", hint=error.hint) from None
            if (fetch := check.missing()) is not None:
                raise ConfigError(
                    f"{self._origin}: [safety] checker: {name} is not on this machine", hint=f"fetch it: {fetch}"
                )
            found.append(check)
        return found

    def _first(self, level: SafetyLevel) -> Sequence[Check]:
        known: Mapping[str, None] = dict.fromkeys((*ORDER, *registry.names("checks")))
        for name in known:
            if name not in registry.names("checks"):
                continue
            try:
                check = self._get(name)
            except ConfigError:
                continue  # another package's, of prompts alone
            fits = level != "adult" or "sexual_minors" in check.card.categories
            if check.card.by_itself and fits and check.missing() is None:
                return [check]
        return []

    def _get(self, name: str) -> Check:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]
