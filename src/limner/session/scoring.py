"""Scoring: what is asked is checked, what is known is remembered, the rest is computed on the engine's thread."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from limner import registry
from limner.canonical import content_hash
from limner.engine.backend import Backend
from limner.errors import (
    ConfigError,
    EvidenceError,
    InvalidRequest,
    LibraryError,
    LimnerError,
    ModelNotFound,
    NonFinite,
    OutOfMemory,
)
from limner.evaluate.cache import ScoreCache, ScoreKey
from limner.evaluate.defaults import panel
from limner.evaluate.metric import Metric, MetricCard, SetMetric
from limner.evaluate.words import text_hash
from limner.library.files import pixel_hash
from limner.library.store import Library
from limner.models.catalog import Catalog
from limner.models.machine import probe
from limner.session import scoring_domain
from limner.session.scoring_answers import Piece, answer, asked, finite, flagged, worded
from limner.session.scoring_embed import answers_of, embed_of
from limner.session.scoring_subjects import Scorable, Subject, as_drawn, subjects
from limner.types import Score

if TYPE_CHECKING:
    from limner.evaluate.metric import Embedding
    from limner.types import Pixels

T = TypeVar("T")
CACHE = "scores-cache.db"
BATCH = 8  # pictures scored between two steps of what is being drawn

Failures: TypeAlias = "dict[tuple[int, str], LimnerError]"
"""What went wrong, by the picture's place in the list (from 0) and the metric's name."""
_OF_ONE = (InvalidRequest, EvidenceError, NonFinite, ValueError)
"""Errors that may be one picture's or one text's alone."""


class Scoring:
    """A session's scorers and what they remember. Scorers are loaded when first used, and stay.

    ``library`` gives the library where there is one; ``keep`` says whether scores go into it.
    """

    def __init__(
        self, root: Path, backend: Backend, catalog: Catalog, library: Callable[[], Library | None], *, keep: bool
    ) -> None:
        self._backend, self.catalog, self._library, self._keep = backend, catalog, library, keep
        self._made: dict[str, Metric | SetMetric] = {}
        self._asking: frozenset[str] = frozenset()
        self.cache = ScoreCache(root / CACHE if keep else None)

    def score(
        self,
        images: Sequence[Scorable],
        texts: str | Sequence[str] | None,
        metrics: Sequence[str],
        *,
        force: bool = False,
        failures: Failures | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Score]]:
        """See ``Session.score``."""
        self._asking = frozenset(names := _names(metrics))
        chosen = [self.of_pictures(name) for name in names]
        found = self.subjects(images)
        words = _words(texts, found, chosen)
        flags = self._admitted(found, [each.card for each in chosen], force=force)
        for metric in chosen:
            _refuse_missing(metric)
        failed: Failures = {}
        scores: list[list[Score]] = []
        for first in range(0, len(found), BATCH):
            part = slice(first, first + BATCH)
            scores += self._batch(chosen, found[part], words[part], flags[part], first, failed)
            if progress is not None:
                progress(len(scores))
        if failures is not None:
            failures.update(failed)
        elif failed:
            raise next(iter(failed.values()))
        return scores

    def measure(
        self, images: Sequence[Scorable], metric: str, *, reference: Sequence[Scorable] = (), force: bool = False
    ) -> Score:
        """See ``Session.measure``."""
        measured = self.metric(metric)
        if not isinstance(measured, SetMetric):
            raise InvalidRequest(f"metric: {metric} scores pictures one by one", field="metric", hint="use score")
        ours, theirs = self.subjects(images), self.subjects(reference)
        flags = self._admitted(ours, [measured.card], force=force)
        _refuse_missing(measured)
        mine, others = [each.load() for each in ours], [each.load() for each in theirs]
        hashes = [[pixel_hash(pixels) for pixels in pictures] for pictures in (mine, others)]
        key = ScoreKey(content_hash(hashes), measured.card.name, measured.card.revision, None)
        score = self.cache.score(key)
        if score is None:
            score = finite(self._run(lambda: measured.measure(mine, others, self.cache)), measured.card, "the set")
            self.cache.keep({key: score})
        return flagged(score, sorted({flag for each in flags for flag in each.values()}))

    def metric(self, name: str) -> Metric | SetMetric:
        """A metric by its registered name, made once. Raises ``UnknownName``, ``ConfigError``."""
        if name not in self._made:
            factory = registry.load("metrics", name)
            made: object = factory() if callable(factory) else factory
            if not isinstance(getattr(made, "card", None), MetricCard):
                raise ConfigError(f"{name!r} is no metric", hint="it needs a MetricCard, as its class's card")
            self._made[name] = cast(Metric, made)
        return self._made[name]

    def of_pictures(self, name: str) -> Metric:
        """As ``metric``, for one that scores picture by picture. Raises ``InvalidRequest`` for one of sets."""
        metric = self.metric(name)
        if metric.card.takes == "set" or not callable(getattr(metric, "score", None)):
            raise InvalidRequest(
                f"metric: {name} is of several pictures at once, not of each", field="metric", hint="Session.measure"
            )
        return cast(Metric, metric)

    def can_embed(self, name: str) -> bool:
        """True for a metric that turns pictures into vectors and has its weights here. Raises ``UnknownName``."""
        metric = self.metric(name)
        return embed_of(metric) is not None and metric.missing() is None

    def embed(self, images: Sequence[Pixels], name: str) -> Sequence[Embedding]:
        """Each picture as the vector [D] that a metric sees it as, computed once. Raises ``InvalidRequest``."""
        if (embed := embed_of(self.metric(name))) is None:
            raise InvalidRequest(f"metric: {name} compares no pictures", field="metric", hint="a CLIP does")
        return self._run(lambda: embed(images, self.cache))

    def answers(self, pixels: Pixels, text: str, name: str) -> Mapping[str, float]:
        """Chances of yes by question; empty for a metric that asks none. Raises as its ``answers``."""
        ask = answers_of(self.metric(name))
        return {} if ask is None else self._run(lambda: ask(pixels, text))

    def subjects(self, images: Sequence[Scorable]) -> list[Subject]:
        """Pictures as they are given, with what is known of each. Raises as ``scoring_subjects.subjects``."""
        return subjects(images, self._library)

    def world_of(self, subject: Subject) -> str | None:
        """The world of a picture's model; ``None`` where that is not known."""
        return scoring_domain.world_of(subject.record, self.catalog)

    def close(self) -> None:
        """Let go of scorers and cache."""
        self._made.clear()
        self.cache.close()

    def _admitted(self, found: Sequence[Subject], cards: Sequence[MetricCard], *, force: bool) -> list[dict[str, str]]:
        return scoring_domain.flags(found, cards, self.catalog, force=force, instead=self._general)

    def _general(self) -> Metric | None:
        """The scorer of any pictures that is the default here."""
        machine = probe()
        name = panel(None, machine.devices()[0], machine).search[0]
        return self.of_pictures(name) if name in registry.names("metrics") else None

    def _batch(
        self,
        metrics: Sequence[Metric],
        found: Sequence[Subject],
        words: Sequence[str],
        flags: Sequence[Mapping[str, str]],
        first: int,
        failed: Failures,
    ) -> list[list[Score]]:
        """Scores of a few pictures, kept in cache and library; what fails goes into ``failed``."""
        names = [metric.card.name for metric in metrics]
        pieces: dict[int, tuple[str, Piece]] = {}
        for k, (subject, text) in enumerate(zip(found, words, strict=True)):
            try:
                pixels = subject.load()
                pieces[k] = pixel_hash(pixels), Piece(pixels, text)
            except LibraryError as error:  # damaged, or gone since
                failed.update({(first + k, name): error for name in names})
        scores: list[list[Score]] = [[] for _ in found]
        for metric in metrics:
            keys = {k: self._key(metric.card, found[k], hash_, piece.text) for k, (hash_, piece) in pieces.items()}
            answers = self._scored(metric, {key: (found[k].name, pieces[k][1]) for k, key in keys.items()})
            for k, key in keys.items():
                answer = answers[key]
                if isinstance(answer, LimnerError):
                    failed[first + k, metric.card.name] = answer
                else:
                    flag = flags[k].get(metric.card.name)
                    scores[k].append(flagged(answer, [flag] if flag else []))
        self._store(found, scores)
        return scores

    def _key(self, card: MetricCard, subject: Subject, pixels: str, text: str) -> ScoreKey:
        """Under what a score is kept: the pixels that are scored. The library's own file of a picture that was scored
        as it was drawn, before its watermark, has that score: the same picture is not two numbers."""
        drawn = as_drawn(subject, pixels)
        if drawn is not None and self.cache.score(key := _key(card, drawn, text)) is not None:
            return key
        return _key(card, pixels, text)

    def _scored(
        self, metric: Metric, wanted: Mapping[ScoreKey, tuple[str, Piece]]
    ) -> dict[ScoreKey, Score | LimnerError]:
        """From the cache, and the rest computed and kept there."""
        known = {key: score for key in wanted if (score := self.cache.score(key)) is not None}
        new = self._computed(metric, {key: each for key, each in wanted.items() if key not in known})
        self.cache.keep([(key, score) for key, score in new.items() if isinstance(score, Score)])
        return {**known, **new}

    def _computed(
        self, metric: Metric, wanted: Mapping[ScoreKey, tuple[str, Piece]]
    ) -> dict[ScoreKey, Score | LimnerError]:
        """Together; where that fails, one by one, so that one picture's error is only its own."""
        if not wanted:
            return {}
        pieces = [piece for _, piece in wanted.values()]
        try:
            scores = self._asked(metric, pieces)
        except _OF_ONE as error:
            if len(wanted) == 1:
                ((key, (name, _)),) = wanted.items()
                return {key: worded(error, metric.card, name)}
            alone = (self._computed(metric, {key: each}) for key, each in wanted.items())
            return {key: score for each in alone for key, score in each.items()}
        found: dict[ScoreKey, Score | LimnerError] = {}
        for (key, (name, _)), score in zip(wanted.items(), scores, strict=True):
            try:
                found[key] = finite(score, metric.card, name).model_copy(update={"text": key.text})
            except NonFinite as error:
                found[key] = error
        return found

    def _asked(self, metric: Metric, pieces: Sequence[Piece]) -> Sequence[Score]:
        """Where memory does not suffice, once more without the scorers of earlier calls; they load again when asked."""
        try:
            return self._run(lambda: asked(metric, pieces, self.cache))
        except OutOfMemory:
            idle = [name for name in list(self._made) if name not in self._asking]
            if not idle:
                raise
        for name in idle:
            self._made.pop(name, None)
        self._run(gc.collect)  # beyond the except block, whose traceback held what was being computed
        return self._run(lambda: asked(metric, pieces, self.cache))

    def _run(self, call: Callable[[], T]) -> T:
        """Its answer, computed where torch may be called."""
        return answer(self._backend.compute(call))

    def _store(self, found: Sequence[Subject], scores: Sequence[Sequence[Score]]) -> None:
        library = self._library() if self._keep else None
        pairs = [(s.id, score) for s, each in zip(found, scores, strict=True) if s.id is not None for score in each]
        if library is not None and pairs:
            library.add_scores(pairs)


def _key(card: MetricCard, pixels: str, text: str) -> ScoreKey:
    return ScoreKey(pixels, card.name, card.revision, text_hash(text) if card.takes == "picture and text" else None)


def _names(metrics: Sequence[str]) -> Sequence[str]:
    names = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    if not names:
        raise InvalidRequest(
            "metrics: none is named", field="metrics", hint=f"known: {', '.join(registry.names('metrics'))}"
        )
    return names


def _words(texts: str | Sequence[str] | None, found: Sequence[Subject], metrics: Sequence[Metric]) -> Sequence[str]:
    """A text a picture; one text is for all, ``None`` for each picture's own. Raises ``InvalidRequest`` where they do
    not go together."""
    needing = [metric.card.name for metric in metrics if metric.card.takes == "picture and text"]
    if texts is None:
        words = [subject.words for subject in found]
    else:
        words = [texts] * len(found) if isinstance(texts, str) else list(texts)
    if not needing:
        return [""] * len(found)
    if len(words) != len(found):
        raise InvalidRequest(
            f"texts: {len(words)} for {len(found)} pictures",
            field="texts",
            hint="give one a picture, or one string for all",
        )
    for subject, text in zip(found, words, strict=True):
        if not text.strip() and not subject.damaged:
            raise InvalidRequest(
                f"texts: {subject.name} has none, and {needing[0]} scores a picture against its text", field="texts"
            )
    return words


def _refuse_missing(metric: Metric | SetMetric) -> None:
    command = metric.missing()
    if command is not None:
        raise ModelNotFound(f"the weights of {metric.card.name} are not here", hint=f"fetch them: {command}")
