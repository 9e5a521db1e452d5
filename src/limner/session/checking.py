"""What the policy says of a request's words before it is drawn, and of its pixels before they are kept or shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final

from limner.errors import LimnerError, Refused
from limner.models.adapters.called import called
from limner.safety.policy import Policy
from limner.safety.said import Said
from limner.session import hooks
from limner.session.auditing import Auditing
from limner.session.looking import Looking
from limner.types import Notice, Pixels, Plan, Protection, Request

UNCHECKED = "unchecked-words"
_NO_FILES: Final[Mapping[str, Path]] = MappingProxyType({})


class Checking:
    """The policy at one level, and the registered checks."""

    def __init__(
        self, protection: Protection, looking: Looking, auditing: Auditing, files: Mapping[str, Path] = _NO_FILES
    ) -> None:
        """``files`` are those of adapters by hash: what a LoRA's file says it is called by is looked at too."""
        self._protection = protection
        self.looking = looking
        self._auditing = auditing
        self._files = files
        self._policy = Policy(protection.level)

    @cached_property
    def _checks(self) -> tuple[hooks.Check, ...]:
        return hooks.checks()

    def request(self, request: Request, prompt: str, negative: str) -> None:
        """What a Request says, its styles applied, before its wildcards are; every choice in braces is looked at.
        Raises ``Refused``."""
        worded = request.model_copy(update={"prompt": prompt, "negative": negative})
        try:
            self._policy.review(Said.of_request(worded))
        except Refused as error:
            self._auditing.refused(error, prompt, request.model)
            raise

    def words(self, plan: Plan) -> Plan:
        """The Plan with what policy and checks found in its words. Raises ``Refused``, which the audit log keeps."""
        try:
            found = (*self._policy.review(self._said(plan)), *self._registered(plan))
        except Refused as error:
            self._auditing.refused(error, plan.prompt, plan.model.name)
            raise
        unlogged = self._auditing.begin()
        notices = plan.notices if unlogged in (None, *plan.notices) else (*plan.notices, unlogged)
        return (
            plan
            if (plan.checks, plan.notices) == (found, notices)
            else plan.model_copy(update={"checks": found, "notices": notices})
        )

    def _said(self, plan: Plan) -> Said:
        said = Said.of_plan(plan)
        loras = [self._files.get(each.hash) for each in plan.adapters if each.kind == "lora"]
        found: list[str] = []
        for path in loras:
            try:
                found += called(path) if path is not None else ()
            except LimnerError:
                continue  # a file that cannot be read is not drawn with either: the engine says so
        return replace(said, names=(*said.names, *found))

    def _registered(self, plan: Plan) -> Iterator[Notice]:
        """What registered checks of prompts say. One whose weights are missing is said, and refuses on ``strict``."""
        for check in self._checks:
            missing = getattr(check, "missing", None)
            if missing is None or (fetched := missing()) is None:
                yield from check.check_prompt(plan.prompt, plan.negative)
                continue
            message = f"a check of prompts is not here: {fetched} fetches it"
            if self._protection.level == "strict":
                raise Refused(message, category="unchecked", rule="prompt-check", passes=f"after {fetched}")
            yield Notice(code=UNCHECKED, message=message)

    def admitted(self, plan: Plan) -> Plan:
        """The Plan, with a Notice where nobody will look at its pictures. Raises as ``Looking.admitted``; a refusal is
        kept by the audit log."""
        try:
            return self.looking.admitted(plan)
        except Refused as error:
            self._auditing.refused(error, plan.prompt, plan.model.name)
            raise

    def pixels(self, plan: Plan, pixels: Pixels) -> tuple[Pixels, tuple[Notice, ...]]:
        """The pixels as they may be kept (the same, or blurred), and what was found in them. Raises ``Refused``, which
        the audit log keeps."""
        try:
            return self.looking.look(plan, pixels)
        except Refused as error:
            self._auditing.refused(error, plan.prompt, plan.model.name)
            raise
