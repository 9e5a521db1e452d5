"""Pictures are looked at by image checkers before they are kept: which, on which levels, and what follows."""

from __future__ import annotations

from collections.abc import Sequence

from limner.config import Settings
from limner.engine.backend import Backend
from limner.errors import GenerationError, LimnerError, NonFinite, Refused
from limner.models.catalog import Catalog
from limner.models.upscaling.family import Upscaling
from limner.safety.checks.actions import gravest
from limner.safety.checks.blurring import blurred
from limner.safety.checks.check import Check, Finding
from limner.safety.checks.panel import Panel, command
from limner.session.scoring_answers import answer
from limner.types import Notice, Pixels, Plan, SafetyLevel

SETTING = "safety.checker"
CHECKED, BLURRED, UNCHECKED = "checked", "blurred", "unchecked"
KNOWN_TO_MANY = frozenset({"lora", "vae"})  # adapters that bring what the checkpoint's own world has not
NO_LEVEL = "no level allows it; a picture without it passes"
ANOTHER = "other words or another seed; on your own machine, --safety adult leaves pictures of adults alone"


def looking_of(settings: Settings, backend: Backend, catalog: Catalog) -> Looking:
    """As the settings say."""
    checker = settings.value(SETTING)
    return Looking(settings.protection.level, Panel(str(checker.value), checker.origin), backend, catalog)


class Looking:
    """The image checkers at one level. ``backend`` runs them where torch may be called."""

    def __init__(self, level: SafetyLevel, panel: Panel, backend: Backend, catalog: Catalog) -> None:
        self._level, self._panel, self._backend, self._catalog = level, panel, backend, catalog

    def admitted(self, plan: Plan) -> Plan:
        """The Plan, with a Notice where its pictures will go unchecked.

        Raises ``Refused`` where the level needs a checker and none is here, ``ConfigError`` where the settings name one
        that is not.
        """
        if self._level == "adult" or not self.needed(plan) or self._panel.of(self._level):
            return plan
        if self._level == "strict":
            raise Refused(
                f"the level strict draws nothing that is not looked at, and no image checker is here for "
                f"{plan.model.name}",
                category=UNCHECKED,
                rule="image-check",
                passes="a checker on this machine, or a built-in model",
                hint=f"fetch one: {command()}",
            )
        notice = Notice(
            code=UNCHECKED, message=f"pictures of {plan.model.name} go unchecked; {command()} fetches a checker"
        )
        return plan if notice in plan.notices else plan.model_copy(update={"notices": (*plan.notices, notice)})

    def needed(self, plan: Plan) -> bool:
        """Are pictures of this Plan to be looked at: not those of models whose cards say why not, and not enlarged
        ones, which show nothing that the given picture did not."""
        if plan.recipe.family == Upscaling.name:
            return False
        if any(adapter.kind in KNOWN_TO_MANY for adapter in plan.adapters):
            return True
        card = self._catalog.find(plan.model.name)
        return card is None or not card.no_checks

    def withheld(self, plan: Plan) -> bool:
        """True where step previews are not shown: they are pictures that nobody has looked at yet."""
        return self.needed(plan) and self._level != "adult" and bool(self._panel.of(self._level))

    def memory(self, plan: Plan) -> int:
        """Bytes that checkers take beside what draws."""
        checkers = self._panel.of(self._level) if self.needed(plan) else ()
        return sum(each.card.memory_bytes or 0 for each in checkers)

    def look(self, plan: Plan, pixels: Pixels) -> tuple[Pixels, tuple[Notice, ...]]:
        """The pixels as they may be kept, and what was said of them. Raises ``Refused``.

        A checker that fails or answers no number leaves a picture unchecked: refused on ``strict``, said otherwise.
        """
        checkers = self._panel.of(self._level) if self.needed(plan) else ()
        findings: list[Finding] = []
        notices: list[Notice] = []
        for checker in checkers:
            try:
                findings += self._asked(checker, pixels)
            except LimnerError as error:
                notices.append(self._unchecked(checker, error))
        if findings:
            notices.insert(0, Notice(code=CHECKED, message=told(findings)))
        do, why = gravest(self._level, findings)
        if why is None:
            return pixels, tuple(notices)
        if do == "block":
            raise refusal(why)
        message = f"the picture is blurred: {said(why)}; {ANOTHER}"
        return blurred(pixels), (*notices, Notice(code=BLURRED, message=message))

    def _asked(self, checker: Check, pixels: Pixels) -> Sequence[Finding]:
        try:
            return answer(self._backend.compute(lambda: checker.check(pixels)))
        except LimnerError:
            raise
        except Exception as error:
            raise LimnerError(f"{type(error).__name__}: {error}") from error

    def _unchecked(self, checker: Check, error: LimnerError) -> Notice:
        if isinstance(error, GenerationError) and not isinstance(error, NonFinite):
            raise error  # the session is closed, or its engine gone: that is no checker's failing
        if self._level == "strict":
            raise Refused(
                f"the picture could not be looked at: {error.message}",
                category=UNCHECKED,
                rule="image-check",
                passes="a checker that works",
                hint=error.hint or f"another checker: {command()}",
            ) from error
        return Notice(code=UNCHECKED, message=f"{checker.card.name} could not look at the picture: {error.message}")


def refusal(why: Finding) -> Refused:
    """The error of a picture that is not kept."""
    return Refused(
        f"the picture was refused: {said(why)}",
        category=why.category,
        rule=f"image-check:{why.checker}",
        passes=NO_LEVEL if why.category == "sexual_minors" else ANOTHER,
    )


_WORDS = {
    "sexual": "sexual content",
    "sexual_minors": "sexual content with what it takes for a child",
    "violence_graphic": "violence or gore",
    "dangerous": "dangerous content",
}


def said(why: Finding) -> str:
    """One finding in words."""
    sure = "sees" if why.verdict == "likely" else "may see"
    return f"{why.checker} {sure} {_WORDS[why.category]} ({why.score:g})"


def told(findings: Sequence[Finding]) -> str:
    """All findings in one line."""
    return "; ".join(f"{each.checker}: {each.category} {each.verdict} ({each.score:g})" for each in findings)
