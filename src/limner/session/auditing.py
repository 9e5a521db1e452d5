"""What a session writes into the audit log: refusals, and that it is not at the level or marks of everyone."""

from __future__ import annotations

from limner.config import Settings
from limner.errors import LimnerError, Refused
from limner.safety.audit import Audit
from limner.safety.policy import VERSION
from limner.types import Notice

SETTING = "safety.audit"


class Auditing:
    """The log of one session. A log that cannot be written is a Notice, once: no picture is lost for it."""

    def __init__(self, settings: Settings) -> None:
        self._protection = settings.protection
        self._audit = Audit(settings.data, plain=settings.value(SETTING).value == "plain")
        self._begun = False
        self._failed: Notice | None = None

    def begin(self) -> Notice | None:
        """Log, once a session, that it draws at the level adult or with less than all marks. A Notice where it could
        not be logged, here or before."""
        if not self._begun:
            self._begun = True
            if self._protection.level == "adult":
                self._append("level-change", None)
            if self._protection.marks != "full":
                self._append("marks-change", None, marks=self._protection.marks)
        return self._failed

    def refused(self, error: Refused, prompt: str, model: str | None) -> None:
        """Log a refusal; where that fails, the error says so."""
        self._append("refusal", prompt, category=error.category, rule=error.rule, model=model)
        if self._failed is not None:
            error.hint = f"{error.hint}; {self._failed.message}"

    def _append(self, event: str, prompt: str | None, **said: str | None) -> None:
        try:
            self._audit.append(event, prompt=prompt, policy=VERSION, level=self._protection.level, **said)
        except LimnerError as error:
            self._failed = Notice(code="audit-unwritten", message=f"not in the audit log: {error.message}")
