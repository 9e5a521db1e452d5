"""New pictures are scored as they are kept: by the scorers made for them, which cost next to nothing, or by those that
``[score] default`` names."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future

from limner import registry
from limner.config import Settings
from limner.errors import ConfigError, LimnerError
from limner.evaluate.defaults import for_new
from limner.evaluate.metric import ANY
from limner.session.scoring import Failures, Scoring
from limner.session.scoring_domain import world_of
from limner.types import Notice, Picture, Record

SETTING = "score.default"
AUTO, NONE = "auto", "none"


class NewPictures:
    """``run`` is the thread that stores pictures: a score waits there for the engine, and nobody waits for it."""

    def __init__(self, settings: Settings, scoring: Callable[[], Scoring], run: Executor) -> None:
        self._settings, self._scoring, self._run = settings, scoring, run
        self._under_way: deque[Future[Sequence[Notice]]] = deque()

    def check(self) -> None:
        """Is what the user chose to be had. Raises ``ConfigError`` before anything is drawn."""
        said = self._settings.value(SETTING)
        for name in self._named() or ():
            if name not in registry.names("metrics"):
                known = ", ".join((AUTO, NONE, *registry.names("metrics")))
                raise ConfigError(
                    f"{said.origin}: [score] default: there is no metric {name!r}", hint=f"known: {known}"
                )
            metric = self._scoring().metric(name)
            if metric.card.takes == "set":
                raise ConfigError(
                    f"{said.origin}: [score] default: {name} is of several pictures at once, not of each",
                    hint="limner metrics lists what each scorer scores",
                )
            if (command := metric.missing()) is not None:
                raise ConfigError(
                    f"{said.origin}: [score] default: the weights of {name} are not here",
                    hint=f"fetch them: {command}; or draw with --no-score",
                )

    def scorers(self, record: Record) -> Sequence[str]:
        """Who scores a new picture: only scorers that know its world."""
        scoring = self._scoring()
        world = world_of(record, scoring.catalog)
        named = self._named()
        if named is None:
            return [name for name in for_new(world) if scoring.of_pictures(name).missing() is None]
        return [name for name in named if scoring.of_pictures(name).card.domain in (ANY, world)]

    def add(self, picture: Picture) -> None:
        """Score a picture that was just kept, soon."""
        if self._named() != []:
            with contextlib.suppress(RuntimeError):  # the pool's own word for "closed"; the picture is stored
                self._under_way.append(self._run.submit(self._score, picture))

    def settle(self) -> Sequence[Notice]:
        """Wait for the scores under way; what went wrong with them."""
        found: list[Notice] = []
        while self._under_way:
            found += self._under_way.popleft().result()
        return found

    def _score(self, picture: Picture) -> Sequence[Notice]:
        """A picture without a score is still a good picture: errors become notices."""
        failures: Failures = {}
        try:
            if names := self.scorers(picture.record):
                self._scoring().score([picture], None, names, failures=failures)
        except LimnerError as error:
            return [_notice(picture, error)]
        return [_notice(picture, error) for error in failures.values()]

    def _named(self) -> list[str] | None:
        """The user's own choice; ``None`` leaves it to us."""
        said = str(self._settings.value(SETTING).value).strip()
        if said == AUTO:
            return None
        return [] if said == NONE else [name.strip() for name in said.split(",") if name.strip()]


def _notice(picture: Picture, error: LimnerError) -> Notice:
    return Notice(code="not-scored", message=f"{picture.id or 'the picture'} has no score: {error.message}")
