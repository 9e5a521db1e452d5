"""Counting blind votes: how far raters agree, and a verdict in which their preference is one more judge."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import Field, ValidationError

from limner.errors import InvalidRequest, PictureNotFound
from limner.evaluate.statistics import sign_flip_p
from limner.library.files import read_bytes
from limner.refine.compare import FOLDER, RESULT
from limner.refine.pairs import Paired, Scorer, Values
from limner.refine.verdict import Verdict, judge
from limner.refine.verdict_types import Looks
from limner.refine.voting import BALLOT, Ballot, Item, read_ballot
from limner.session import Session
from limner.types import Frozen

VOTES = "votes"
Side = Literal["A", "B", "tie"]


class Vote(Frozen):
    """One choice: the name of the chosen picture, ``None`` for no difference, and which stood on the left."""

    item: str
    choice: str | None
    left: str


class Paper(Frozen):
    """What a rater gives back."""

    format: Literal[1]
    ballot: str
    rater: str = Field(min_length=1)
    votes: tuple[Vote, ...] = Field(min_length=1)


class Counted(Frozen):
    """The votes on one ballot.

    ``kappa`` is Cohen's, for two raters; ``alpha`` Krippendorff's, for any number: 1 is full agreement, 0 chance;
    ``None`` where it is not defined. ``left`` is the share of choices that fell on the left picture, ``left_p`` how
    easily chance alone gives that.
    """

    ballot: str
    raters: tuple[str, ...]
    votes: int
    kappa: float | None
    alpha: float | None
    left: float | None
    left_p: float | None
    verdict: Verdict


def count(files: Sequence[Path], session: Session) -> Counted:
    """The verdict with these raters' votes as one more judge beside those of the comparison.

    Raises ``InvalidRequest`` for files that are no votes, of different ballots or of one rater twice, and
    ``PictureNotFound`` where the comparison is not in this library.
    """
    return count_papers([read_paper(path) for path in files], session)


def count_papers(papers: Sequence[Paper], session: Session) -> Counted:
    """As ``count``, of papers that are read already."""
    if len({paper.ballot for paper in papers}) != 1:
        raise InvalidRequest("these votes are on different pages", field="votes", hint="count each page by itself")
    double = [name for name, times in Counter(paper.rater for paper in papers).items() if times > 1]
    if double:
        raise InvalidRequest(f"{double[0]!r} voted twice", field="votes", hint="give one file a rater")
    ballot, result = _comparison(papers[0].ballot, session)
    return counted(ballot, papers, result)


def counted(ballot: Ballot, papers: Sequence[Paper], result: Mapping[str, object]) -> Counted:
    """The verdict with these votes. ``result`` holds what was found before: ``pairs`` and ``verdicts``, of each the
    first counts, and ``study`` with its ``scorers``. Raises ``InvalidRequest`` for names that are not on the ballot."""
    return _counted(ballot, papers, _chosen(ballot, papers), result)


def read_paper(path: Path) -> Paper:
    """A rater's file. Raises ``InvalidRequest``, ``PictureNotFound`` where there is none."""
    if not path.is_file():
        raise InvalidRequest(f"there is no file {path}", field="votes", hint="give the files that raters saved")
    try:
        return Paper.model_validate_json(read_bytes(path))
    except (ValidationError, ValueError) as error:
        raise InvalidRequest(
            f"{path.name} holds no votes", field="votes", hint="give the files that the voting page saved, unchanged"
        ) from error


def krippendorff(table: Sequence[Sequence[str]]) -> float | None:
    """Krippendorff's alpha for nominal answers: a row an item, with the answers it got (any number). ``None`` where no
    item has two answers, or all answers are the same. Source: Krippendorff, Content Analysis, chapter 12."""
    rows = [row for row in table if len(row) > 1]
    total = sum(map(len, rows))
    if not rows:
        return None
    observed = sum(_unequal(Counter(row)) / (len(row) - 1) for row in rows) / total
    expected = _unequal(Counter(answer for row in rows for answer in row)) / (total * (total - 1))
    return None if expected == 0 else 1 - observed / expected


def _unequal(counts: Counter[str]) -> int:
    """Ordered pairs of unequal answers."""
    n = sum(counts.values())
    return n * n - sum(c * c for c in counts.values())


def cohen(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Cohen's kappa of two raters' answers to the same items; ``None`` where chance alone would agree wholly."""
    if not first:
        return None
    n = len(first)
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    one, two = Counter(first), Counter(second)
    chance = sum(one[answer] * two[answer] for answer in one) / (n * n)
    return None if chance == 1 else (agreed - chance) / (1 - chance)


def _comparison(name: str, session: Session) -> tuple[Ballot, Mapping[str, object]]:
    study = name.rpartition("-")[0]
    folder = session.settings.library_root / FOLDER / study
    if not study.isalnum() or not (folder / BALLOT).is_file() or not (folder / RESULT).is_file():
        raise PictureNotFound(
            "the comparison that these votes are on is not in this library",
            hint="count them where the page was exported; LIMNER_HOME says which library",
        )
    ballot = read_ballot(folder / BALLOT)
    if ballot.ballot != name:
        raise InvalidRequest(
            "these votes are on an older page of this comparison", field="votes", hint="have the newer page voted on"
        )
    result: Mapping[str, object] = json.loads(read_bytes(folder / RESULT))
    return ballot, result


def _chosen(ballot: Ballot, papers: Sequence[Paper]) -> list[dict[str, Side]]:
    """Each rater's choice by item. Raises ``InvalidRequest`` for names that are not on the ballot."""
    items = {item.item: item for item in ballot.items}
    return [{vote.item: _side(items.get(vote.item), vote, paper) for vote in paper.votes} for paper in papers]


def _side(item: Item | None, vote: Vote, paper: Paper) -> Side:
    if item is None or vote.choice not in (None, item.a, item.b) or vote.left not in (item.a, item.b):
        raise InvalidRequest(
            f"the votes of {paper.rater!r} name pictures that are not on the page", field="votes", hint="was it edited?"
        )
    return "tie" if vote.choice is None else "A" if vote.choice == item.a else "B"


def _counted(
    ballot: Ballot, papers: Sequence[Paper], chosen: Sequence[Mapping[str, Side]], result: Mapping[str, object]
) -> Counted:
    table = [[votes[item.item] for votes in chosen if item.item in votes] for item in ballot.items]
    both = [item.item for item in ballot.items if all(item.item in votes for votes in chosen)]
    kappa = cohen(*([votes[item] for item in both] for votes in chosen)) if len(chosen) == 2 else None
    sides = [1.0 if vote.choice == vote.left else -1.0 for paper in papers for vote in paper.votes if vote.choice]
    return Counted(
        ballot=ballot.ballot,
        raters=tuple(paper.rater for paper in papers),
        votes=sum(map(len, chosen)),
        kappa=kappa,
        alpha=krippendorff(table),
        left=fmean(side > 0 for side in sides) if sides else None,
        left_p=sign_flip_p(sides) if sides else None,
        verdict=_verdict(ballot, table, result, len(papers)),
    )


def _verdict(ballot: Ballot, table: Sequence[Sequence[Side]], result: Mapping[str, object], raters: int) -> Verdict:
    pairs, verdicts, study = result["pairs"], result["verdicts"], result["study"]
    assert isinstance(pairs, list)
    assert isinstance(verdicts, list)
    assert isinstance(study, dict)
    paired, before = Paired.model_validate(pairs[0]), Verdict.model_validate(verdicts[0])
    scorers = study["scorers"]
    voted = {item.unit: _preferred(row) for item, row in zip(ballot.items, table, strict=True) if row}
    judged = with_votes(paired, voted, ballot.ballot)
    caps = [cap for cap in before.caps if "not measured" not in cap]
    if raters < 2:
        caps.append("one rater alone voted")
    return judge(
        judged,
        judges=(*scorers["judges"], VOTES),
        alignment=scorers["alignment"],
        diversity=scorers["diversity"],
        margin=before.margin,
        diversity_margin=before.diversity_margin,
        worthwhile=before.worthwhile,
        alpha=before.alpha,
        looks=Looks.once(judged.planned),
        caps=tuple(dict.fromkeys(caps)),
    )


def _preferred(row: Sequence[Side]) -> float:
    """Share of raters that prefer B; no difference counts half."""
    return fmean({"A": 0.0, "tie": 0.5, "B": 1.0}[side] for side in row)


def with_votes(paired: Paired, voted: Mapping[str, float], ballot: str) -> Paired:
    """The paired values with the raters' preference (share for B, by unit) as one more; units without a vote are left
    out."""
    kept = [k for k, unit in enumerate(paired.units) if unit in voted and math.isfinite(voted[unit])]
    values = {
        name: each.model_copy(update={"a": tuple(each.a[k] for k in kept), "b": tuple(each.b[k] for k in kept)})
        for name, each in paired.values.items()
    }
    b = tuple(voted[paired.units[k]] for k in kept)
    scorer = Scorer(name=VOTES, revision=ballot, scale="share of raters that prefer it, 0 to 1")
    values[VOTES] = Values(scorer=scorer, a=tuple(1 - each for each in b), b=b)
    units = tuple(paired.units[k] for k in kept)
    return Paired.model_validate(paired.model_copy(update={"units": units, "values": values}).model_dump())
