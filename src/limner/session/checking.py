"""What the policy says of a request's words before it is drawn, and of its pixels before they are kept or shown."""

from __future__ import annotations

from functools import cached_property

from limner.session import hooks
from limner.session.looking import Looking
from limner.types import Notice, Pixels, Plan, Protection


class Checking:
    """The policy at one level, and the registered checks."""

    def __init__(self, protection: Protection, looking: Looking) -> None:
        self._protection = protection
        self.looking = looking

    @cached_property
    def _checks(self) -> tuple[hooks.Check, ...]:
        return hooks.checks()

    def words(self, plan: Plan) -> Plan:
        """The Plan with what the checks found in its words. Raises ``Refused``."""
        found = [n for check in self._checks for n in check.check_prompt(plan.prompt, plan.negative)]
        return plan.model_copy(update={"checks": tuple(found)}) if found else plan

    def pixels(self, plan: Plan, pixels: Pixels) -> tuple[Pixels, tuple[Notice, ...]]:
        """The pixels as they may be kept (the same, or blurred), and what was found in them. Raises ``Refused``."""
        return self.looking.look(plan, pixels)
