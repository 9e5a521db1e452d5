"""What a refinement found: frozen JSON with all that a report needs, and nothing that must be computed again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from limner.refine.arms import Scored, Trial
from limner.refine.asking import Phase
from limner.refine.design import Design
from limner.refine.ranking import Standing
from limner.refine.strategy import USER, Candidate
from limner.refine.verdict import Verdict
from limner.types import Frozen, Request, Score

Outcome = Literal["better", "kept", "chosen", "stopped"]
"""``better``: a rewrite is, by a verdict. ``kept``: the user's own words stay. ``chosen``: pictures were chosen, which
says nothing of words. ``stopped``: not verified."""


class Shot(Frozen):
    """A picture that was drawn and scored for a refinement. ``candidate`` is its id, ``you`` for the user's own words;
    ``picture`` the library's id; ``words`` what it was scored against where these are not the user's whole words."""

    candidate: str
    request: Request
    seed: int
    phase: Phase
    pixel_hash: str
    picture: str | None = None
    scores: Mapping[str, Score]
    failures: Mapping[str, str] = Field(default_factory=dict)
    words: str | None = None
    faults: tuple[str, ...] = ()

    def scored(self) -> Scored:
        trial = Trial(request=self.request, seed=self.seed)
        return Scored(trial, self.pixel_hash, self.scores, self.picture, failures=self.failures, faults=self.faults)


class Spent(Frozen):
    """What it took: pictures looked at, those of them that had to be drawn, and seconds."""

    search: int = 0
    verdict: int = 0
    drawn: int = 0
    seconds: float = 0.0

    @property
    def pictures(self) -> int:
        return self.search + self.verdict


class Refinement(Frozen):
    """A refinement from first to last. ``sentence`` is the conclusion in plain words.

    ``candidates`` carry the lineage (parent, edit, reason); ``rounds`` hold each rung's standings, best first, with
    every candidate's gain over the user's words. ``verdicts`` go with ``finalists``. ``winner`` is a candidate's id,
    ``you`` where the user's words stay; ``ahead`` the best of the search, verified or not. ``best`` are library ids of
    pictures, best first. ``baseline`` is the paraphrase that went furthest.
    """

    id: str
    created: str
    design: Design
    outcome: Outcome
    sentence: str
    candidates: tuple[Candidate, ...] = ()
    rounds: tuple[tuple[Standing, ...], ...] = ()
    finalists: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    winner: str = USER
    ahead: str | None = None
    baseline: str | None = None
    best: tuple[str, ...] = ()
    shots: tuple[Shot, ...] = ()
    spent: Spent = Spent()
    notices: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """True where a verdict was reached, whatever it says."""
        return bool(self.verdicts)

    @property
    def request(self) -> Request:
        """What to draw with from now on: the winner's Request."""
        return self.design.request if self.winner == USER else self.candidate(self.winner).request

    @property
    def verdict(self) -> Verdict | None:
        """The winner's verdict, or the first finalist's; ``None``: not verified."""
        if not self.verdicts:
            return None
        place = self.finalists.index(self.winner) if self.winner in self.finalists else 0
        return self.verdicts[place]

    def candidate(self, name: str) -> Candidate:
        """A candidate by id. Raises ``KeyError``."""
        return {each.id: each for each in self.candidates}[name]

    def standing(self, name: str) -> Standing | None:
        """Where a candidate stood when it was last compared."""
        found = (each for round_ in reversed(self.rounds) for each in round_ if each.candidate == name)
        return next(found, None)
