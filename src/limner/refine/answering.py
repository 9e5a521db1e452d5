"""Answering a search's asks with a session: pictures from the library or newly drawn, scores by its metrics."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from limner.errors import GenerationError
from limner.image import Image
from limner.refine import diversity
from limner.refine.arms import Scored, Trial
from limner.refine.asking import YOU, Ask
from limner.refine.compare_cells import Cell, Draw, draw_cell
from limner.refine.compare_scoring import ScoreCall, scored
from limner.refine.journal import Journal
from limner.refine.refinement import Shot, Spent
from limner.refine.strategy import USER
from limner.refine.strategy import changed as changed_request
from limner.session import Session
from limner.types import Plan, Request, Score

HELD_BYTES = 64 * 2**20
"""Pictures kept in memory, so that a second look at one needs no file."""
Vote = Callable[[Image, Image, int, int], int]
"""A person compares the rewrite's picture (second) with that of the own words (first): 1, -1 or 0 for the rewrite, the
own words, or neither. Told the number of the pair (from 1) and how many there are. May raise ``Cancelled``."""


class Answering:
    """Answers asks, keeps every answer in the journal, and counts what it took. May raise any ``LimnerError``."""

    def __init__(
        self,
        session: Session,
        journal: Journal,
        *,
        score: ScoreCall,
        draw: Draw,
        vote: Vote | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session, self._journal, self._score, self._draw, self._vote = session, journal, score, draw, vote
        self._clock, self._began = clock, clock()
        self._held: OrderedDict[tuple[str, int], Image] = OrderedDict()
        self._drawn: dict[str, set[tuple[str, int]]] = {"search": set(), "verdict": set()}
        self._new = 0
        self._before = journal.seconds
        self.shots: list[Shot] = []
        self.names: dict[str, str] = {}
        """Ids of candidates by their Requests' JSON."""

    def name(self, request: Request, candidate: str) -> None:
        """From here on pictures of this Request are the candidate's."""
        self.names[request.model_dump_json()] = candidate

    @property
    def seconds(self) -> float:
        return self._before + self._clock() - self._began

    @property
    def spent(self) -> Spent:
        search, verdict = len(self._drawn["search"]), len(self._drawn["verdict"])
        return Spent(search=search, verdict=verdict, drawn=self._new, seconds=round(self.seconds, 2))

    def __call__(self, ask: Ask) -> list[Scored]:
        """One Scored a trial, in order."""
        known = self._journal.found(ask)
        shots = [each for each in known if each is not None]
        if len(shots) < len(ask.trials):
            shots = self._voted(ask, known) if ask.phase == "vote" else self._asked(ask)
        self._count(ask)
        named = [shot.model_copy(update={"candidate": self._name(shot.request)}) for shot in shots]
        self.shots += named
        return [shot.scored() for shot in named]

    def images(self, request: Request, seeds: Sequence[int]) -> list[Image]:
        """The pictures of a Request at these seeds: held, in the library, or drawn now."""
        key = request.model_dump_json()
        for run in _runs([seed for seed in seeds if (key, seed) not in self._held]):
            for seed, image in zip(run, self._run(request, run), strict=True):
                self._hold(key, seed, image)
        found = {seed: self._held.get((key, seed)) for seed in seeds}
        return [image if image is not None else self._run(request, [seed])[0] for seed, image in found.items()]

    def _run(self, request: Request, run: Sequence[int]) -> list[Image]:
        """Pictures at neighbouring seeds."""
        plans = self._session.plan(changed_request(request, seed=run[0], n=len(run)))

        def draw(missing: Sequence[Plan]) -> Sequence[Image]:
            made = self._draw(missing)
            self._new += len(made)
            return made

        return draw_cell(Cell(0, 0, plans), range(len(run)), self._session, draw)

    def _asked(self, ask: Ask) -> list[Shot]:
        """Drawn and scored now, all of the ask: what was drawn before is found, and so are its scores."""
        images: list[Image] = []
        for request, seeds in _by_request(ask.trials):
            images += self.images(request, seeds)
        found = scored(self._score, images, ask.trials, ask.words, ask.metrics) if ask.metrics else _bare(ask, images)
        if ask.diversity is not None:
            found = self._with_shares(found, images, ask.diversity)
        shots = [self._shot(each, ask) for each in found]
        self._journal.add(ask, shots, self.seconds)
        return shots

    def _with_shares(self, found: Sequence[Scored], images: Sequence[Image], name: str) -> list[Scored]:
        """With each picture's share in the diversity of them all."""
        by, values = diversity.scorer(name), diversity.shares(name, diversity.vectors(self._session, name, images))
        new = [Score(scorer=name, revision=by.revision, value=v, scale=by.scale, domain=by.domain) for v in values]
        return [replace(each, scores={**each.scores, name: score}) for each, score in zip(found, new, strict=True)]

    def _voted(self, ask: Ask, known: Sequence[Shot | None]) -> list[Shot]:
        """A vote a pair, each kept as soon as it is given."""
        if self._vote is None:
            raise GenerationError("nobody is here to vote", hint="go on where the votes began: refine --interactive")
        shots: list[Shot] = []
        for k, (trial, rival, shot) in enumerate(zip(ask.trials, ask.rivals, known, strict=True), 1):
            if shot is None:
                (own,), (theirs,) = self.images(rival.request, [rival.seed]), self.images(trial.request, [trial.seed])
                value = float(self._vote(own, theirs, k, len(ask.trials)))
                score = Score(scorer=YOU, revision="1", value=value, scale=VOTES, domain="any")
                whole = Scored(trial, theirs.record.pixel_hash, {YOU: score}, theirs.id)
                shot = self._shot(whole, ask)
                one = Ask((trial,), ask.metrics, ask.words, ask.phase, ask.diversity, (rival,))
                self._journal.add(one, [shot], self.seconds)
            shots.append(shot)
        return shots

    def _shot(self, each: Scored, ask: Ask) -> Shot:
        return Shot(
            candidate=self._name(each.trial.request),
            request=each.trial.request,
            seed=each.trial.seed,
            phase=ask.phase,
            pixel_hash=each.pixel_hash,
            picture=each.picture,
            scores=each.scores,
            failures=each.failures,
            faults=each.faults,
            words=None if ask.words == self._journal.design.words else ask.words,
        )

    def _name(self, request: Request) -> str:
        return self.names.get(request.model_dump_json(), USER if request == self._journal.design.request else "")

    def _count(self, ask: Ask) -> None:
        if ask.phase != "vote":
            self._drawn[ask.phase] |= {(trial.request.model_dump_json(), trial.seed) for trial in ask.trials}

    def _hold(self, key: str, seed: int, image: Image) -> None:
        self._held[key, seed] = image
        while len(self._held) > 1 and sum(each.pixels.nbytes for each in self._held.values()) > HELD_BYTES:
            self._held.popitem(last=False)


VOTES = "votes: 1 for the rewrite, -1 for your own words"


def _bare(ask: Ask, images: Sequence[Image]) -> list[Scored]:
    """Pictures that no metric looks at."""
    return [
        Scored(trial, image.record.pixel_hash, {}, image.id, image)
        for trial, image in zip(ask.trials, images, strict=True)
    ]


def _by_request(trials: Sequence[Trial]) -> list[tuple[Request, list[int]]]:
    found: list[tuple[Request, list[int]]] = []
    for trial in trials:
        if found and found[-1][0] == trial.request:
            found[-1][1].append(trial.seed)
        else:
            found.append((trial.request, [trial.seed]))
    return found


def _runs(seeds: Sequence[int]) -> list[list[int]]:
    """Neighbouring seeds together, each in one request."""
    runs = [[seed] for seed in seeds[:1]]
    for before, seed in pairwise(seeds):
        if seed == before + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return runs
