"""What was found of a model before and after it was adapted: an answer a question, and what they come to in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from limner.refine.arms import Scored
from limner.refine.compare import Comparison, Prepared
from limner.refine.compare_run import Taken
from limner.refine.compare_study import Study
from limner.refine.grid import Column, Tile, grid
from limner.refine.pairs import Paired
from limner.refine.tuned_asked import Asked
from limner.refine.tuned_likeness import Likeness
from limner.refine.verdict import Verdict
from limner.refine.verdict_tests import guard
from limner.refine.verdict_words import p_of, span
from limner.types import Frozen

COLUMNS = 6
Kept = Literal["kept", "lost", "open"]
Learnt = Literal["yes", "not shown", "worse"]


class Fact(Frozen):
    """A yes-or-no question about the pictures, and its mean chance of yes [0, 1] before and after. Not tested: the
    verdict is on their mean."""

    question: str
    before: float
    after: float


class Spread(Frozen):
    """Mean distances between pictures of different seeds, before and after; ``own``: among the subject's own pictures,
    where it is the subject that is drawn."""

    before: float
    after: float
    own: float | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """One question: its comparison, and what no verdict says of it, the likeness to the subject's pictures and the
    answers fact by fact (empty where the scorer asks none)."""

    asked: Asked
    prepared: Prepared
    taken: Taken = field(repr=False)
    paired: Paired
    verdict: Verdict
    spread: Spread
    likeness: tuple[Likeness, ...] = ()
    facts: tuple[Fact, ...] = ()

    @property
    def words(self) -> Kept:
        """Whether the words are still followed. ``lost`` where a judge of the words says so (after Holm), or their
        guard; ``kept`` where a loss beyond the margin is ruled out."""
        scorer = self.prepared.study.scorers.judges[0]
        judge = next((test for test in self.verdict.judges if test.scorer.name == scorer), None)
        if judge is not None and judge.finding == "A":
            return "lost"
        found = self._guard("alignment")
        return "open" if found == "lost" and judge is not None else found

    @property
    def diversity(self) -> Kept:
        """Whether pictures of other seeds still differ as much."""
        return self._guard("diversity")

    def _guard(self, role: Literal["alignment", "diversity"]) -> Kept:
        """That of after against before, whoever wins: a verdict's own guards are those of the winner."""
        study, verdict = self.prepared.study, self.verdict
        name = study.scorers.alignment if role == "alignment" else study.scorers.diversity
        margin = verdict.margin if role == "alignment" else verdict.diversity_margin or verdict.margin
        if name is None:
            return "open"
        finding = guard(self.paired, name, role, margin, verdict.level, 1).finding
        return "kept" if finding == "kept" else "lost" if finding == "lost" else "open"

    def comparison(self, folder: Path | None = None) -> Comparison:
        """The same as ``limner compare`` holds it."""
        return Comparison(
            self.prepared.study,
            (self.paired,),
            (self.verdict,),
            self.prepared.cells,
            self.taken,
            self.prepared.models,
            folder,
        )

    def as_json(self) -> dict[str, object]:
        """JSON-ready; pictures are the library's ids by arm, in the order of the seeds."""
        shown = self.taken.scored
        return {
            **self.asked.model_dump(mode="json"),
            "text": self.asked.words,
            "words": self.words,
            "diversity": self.diversity,
            "likeness": [each.model_dump(mode="json") for each in self.likeness],
            "spread": self.spread.model_dump(mode="json"),
            "facts": [each.model_dump(mode="json") for each in self.facts],
            "verdict": self.verdict.model_dump(mode="json"),
            "pairs": self.paired.model_dump(mode="json"),
            "pictures": {name: [each.picture for each in shown[k, 0]] for k, name in enumerate(("before", "after"))},
        }


@dataclass(frozen=True)
class Shown:
    """All answers, the subject's first. ``folder`` is where it is kept in the library (``None``: nowhere)."""

    id: str
    stored: Mapping[str, object] = field(repr=False)
    answers: tuple[Answered, ...]
    folder: Path | None = None

    @property
    def study(self) -> Study:
        """That of the subject; the others differ in their words alone."""
        return self.answers[0].prepared.study

    @property
    def learnt(self) -> Learnt:
        """Whether the subject is more like its own pictures, whatever that cost."""
        finding = self.answers[0].verdict.judges[0].finding
        return "yes" if finding == "B" else "worse" if finding == "A" else "not shown"

    @property
    def lost(self) -> tuple[str, ...]:
        """What was lost: ``words of 'a fox'``, ``diversity of 'a sks fox'``."""
        return self._where("lost")

    @property
    def kept(self) -> tuple[str, ...]:
        return self._where("kept")

    @property
    def open(self) -> tuple[str, ...]:
        """Of what neither is shown."""
        return self._where("open")

    @cached_property
    def headline(self) -> str:
        """What it comes to, in plain words and as short as can be; ``numbers`` are what it stands on."""
        verdict = self.answers[0].verdict
        said = {"yes": "Learnt", "worse": "Less like its pictures than before", "not shown": "Not shown to be learnt"}[
            self.learnt
        ]
        indicative = "indicative only, " if verdict.caps else ""
        lost = ", ".join(self.lost) or "nothing shown"
        of = f"Kept {len(self.kept)} of {2 * len(self.answers)}"
        still = f", open {len(self.open)}" if self.open else ""
        return f"{said} ({indicative}{verdict.n} {verdict.unit}s). Lost: {lost}. {of}{still}."

    @cached_property
    def numbers(self) -> str:
        """How far likeness to its own pictures changed, and how sure that is."""
        subject = self.answers[0]
        verdict, near = subject.verdict, subject.likeness[0]
        test = verdict.judges[0]
        changed = f"Likeness of {subject.asked.name} to {near.name}: {near.before:.3f} → {near.after:.3f}"
        capped = f" Indicative only: {'; '.join(verdict.caps)}." if verdict.caps else ""
        return f"{changed}, {span(test)}, {p_of(verdict, test)}, over {verdict.n} {verdict.unit}s.{capped}"

    @property
    def how(self) -> str:
        """How much of it is chance."""
        study, many = self.study, len(self.answers)
        return (
            f"{many} questions share one chance of a false verdict, {study.alpha:.0%}: each p is after Holm over them. "
            f"Kept: a loss of over {study.margin:g} SD is ruled out, at {study.alpha:.0%} for each by itself"
        )

    def notices(self) -> tuple[str, ...]:
        """What must not be lost, once each."""
        said: Iterable[str] = (*self.study.notices, *self.alike())
        of_pairs = (notice.message for each in self.answers for notice in each.paired.notices)
        return tuple(dict.fromkeys((*said, *of_pairs)))

    def alike(self) -> tuple[str, ...]:
        """A warning for each question whose pictures have lost their differences."""
        warnings = []
        for each in self.answers:
            if each.diversity == "lost":
                spread = each.spread
                own = "" if spread.own is None else f" (its own pictures: {spread.own:.3g})"
                warnings.append(
                    f"{each.asked.name} is drawn more alike from seed to seed: mean distance {spread.before:.3g} "
                    f"before, {spread.after:.3g} after{own}"
                )
        return tuple(warnings)

    @cached_property
    def grid(self) -> bytes:
        """PNG: each question before and after below each other, the first seeds beside each other."""
        count = min(COLUMNS, self.study.n)
        rows = [arm.name for each in self.answers for arm in each.prepared.study.arms]
        tiles: dict[tuple[int, int, int], Tile] = {}
        for k, each in enumerate(self.answers):
            tiles |= {(2 * k + arm, 0, place): shown for (arm, _, place), shown in each.taken.tiles.items()}
        columns = [Column(0, place, f"seed {self.study.seed + place}") for place in range(count)]
        inside = {where: shown for where, shown in tiles.items() if where[2] < count}
        return grid(rows, columns, inside, self.headline)

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "folder": None if self.folder is None else str(self.folder),
            "headline": self.headline,
            "numbers": self.numbers,
            "learnt": self.learnt,
            "kept": self.kept,
            "lost": self.lost,
            "open": self.open,
            "how": self.how,
            "notices": self.notices(),
            "study": self.stored,
            "answers": [each.as_json() for each in self.answers],
        }

    def _where(self, finding: Kept) -> tuple[str, ...]:
        words = [f"words of {each.asked.name}" for each in self.answers if each.words == finding]
        alike = [f"diversity of {each.asked.name}" for each in self.answers if each.diversity == finding]
        return (*words, *alike)


def facts_of(
    before: Sequence[Scored], after: Sequence[Scored], answers: Mapping[str, Mapping[str, float]]
) -> tuple[Fact, ...]:
    """Each question's mean chances; ``answers`` are by pixel hash, and lack pictures without a value."""
    sides = [[answers[each.pixel_hash] for each in side if each.pixel_hash in answers] for side in (before, after)]
    questions = dict.fromkeys(asked for side in sides for each in side for asked in each)
    means = [{asked: _mean([each[asked] for each in side if asked in each]) for asked in questions} for side in sides]
    pairs = ((asked, means[0][asked], means[1][asked]) for asked in questions)
    return tuple(Fact(question=asked, before=a, after=b) for asked, a, b in pairs if a is not None and b is not None)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
