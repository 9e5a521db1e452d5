"""Blind votes in the browser: pairs under names that tell nothing, and the verdict with the votes as one more judge.

The ballot (which name is whose) and the papers (who chose what) lie beside the study. What is where is said, and what
the votes come to, only when a rater has seen all pairs: whoever counts meanwhile stops when the count suits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from random import Random

from PIL import Image as PillowImage
from pydantic import ValidationError

from limner.disk import write_atomic
from limner.errors import InvalidRequest, PictureNotFound
from limner.library.files import decode
from limner.library.store import Library
from limner.refine.grid import XMP
from limner.refine.report.refined import paired_of
from limner.refine.voting import BALLOT, LARGEST, Ballot, Item, ballot_of, read_ballot
from limner.refine.voting_count import Counted, Paper, Vote, counted
from limner.serve.studies.store import Compared, Gridded, Refined, Stored
from limner.serve.studies.telling import units
from limner.types.base import Frozen


class Turn(Frozen):
    """What a rater sees next. ``left`` and ``right`` are names of pictures; of an item that is ``done`` there are none.
    ``number`` counts from 1 to ``total``."""

    study: str
    words: str
    number: int
    total: int
    item: str | None
    left: str | None
    right: str | None

    @property
    def done(self) -> bool:
        return self.item is None


class Withheld(InvalidRequest):
    """What votes come to is not said before all of them are given."""

    code = "votes_withheld"


class Booth:
    """Where one rater votes on one study. Raises ``InvalidRequest`` for a study that cannot be voted on."""

    def __init__(self, id: str, study: Stored, rater: str = "you") -> None:
        if isinstance(study, Gridded) or not _can_be_voted_on(study):
            raise InvalidRequest(
                "there is nothing to vote on: a vote is on two sides that are drawn and judged",
                field="study",
                hint="finish the study first, with two sides",
            )
        self._id, self._study, self.rater = id, study, rater
        self._result = _result(study)
        stem = study.place.stem if isinstance(study, Refined) else ""
        self._key = study.place.with_name(f"{stem}.ballot.json" if stem else BALLOT)
        digest = hashlib.sha256(rater.casefold().encode()).hexdigest()[:12]
        self._mine = f"{stem}.votes-" if stem else "votes-"
        self._paper = study.place.with_name(f"{self._mine}{digest}.json")

    def ballot(self) -> Ballot:
        """The key; made and stored when it is first asked for. Raises ``StorageError``."""
        wanted = list(_pictures(self._study))
        if self._key.is_file():
            known = read_ballot(self._key)
            if {item.unit for item in known.items} == set(wanted):
                return known
        made = ballot_of(self._id, wanted)
        write_atomic(self._key, made.model_dump_json(indent=1).encode())
        return made

    def turn(self) -> Turn:
        """The next pair for this rater. Sides are by chance, the same when it is asked again."""
        ballot, given = self.ballot(), self._votes(self._paper)
        voted = {vote.item for vote in given}
        item = next((each for each in ballot.items if each.item not in voted), None)
        left, right = (None, None) if item is None else self._sides(ballot, item)
        return Turn(
            study=self._id,
            words=self._words(item),
            number=min(len(voted) + 1, len(ballot.items)),
            total=len(ballot.items),
            item=None if item is None else item.item,
            left=left,
            right=right,
        )

    def vote(self, item: str, choice: str | None) -> Turn:
        """Keep a choice, a picture's name or ``None`` for "can't tell"; the next pair. A vote that is there already is
        not given twice. Raises ``InvalidRequest`` for names that are not on the ballot."""
        ballot, given = self.ballot(), self._votes(self._paper)
        known = next((each for each in ballot.items if each.item == item), None)
        if known is None or choice not in (None, known.a, known.b):
            raise InvalidRequest(
                "there is no such picture on this ballot", field="choice", hint="ask for the pair again"
            )
        if item not in {vote.item for vote in given}:
            left = self._sides(ballot, known)[0]
            self._keep(ballot, [*given, Vote(item=item, choice=choice, left=left)])
        return self.turn()

    def undo(self) -> Turn:
        """Take the last choice back, where there is one."""
        ballot, given = self.ballot(), self._votes(self._paper)
        self._keep(ballot, given[:-1])
        return self.turn()

    def count(self) -> Counted:
        """The verdict with the votes of everybody who saw all pairs. Raises ``Withheld`` where this rater has not."""
        turn = self.turn()
        if not turn.done:
            left = turn.total - turn.number + 1
            raise Withheld(
                f"{left} of {turn.total} pairs are not voted on yet; until then names and numbers are withheld",
                field="votes",
                hint="go on voting",
            )
        ballot = self.ballot()
        papers = [paper for paper in self._papers(ballot) if len(paper.votes) == len(ballot.items)]
        return counted(ballot, papers, self._result)

    def picture(self, name: str, library: Library) -> bytes:
        """A picture of the ballot as WebP, marked as made by a model; without its Record, which would tell whose it is.
        Raises ``PictureNotFound``, ``UnreadablePicture``."""
        by = _pictures(self._study)
        ids = {known: by[item.unit][k] for item in self.ballot().items for k, known in enumerate((item.a, item.b))}
        found = ids.get(name)
        if found is None:
            raise PictureNotFound("there is no such picture on this ballot", hint="ask for the pair anew")
        shown = PillowImage.fromarray(decode(library.get(found).path))
        shown.thumbnail((LARGEST, LARGEST), PillowImage.Resampling.LANCZOS)
        out = BytesIO()
        shown.save(out, "WEBP", quality=92, xmp=XMP.encode())
        return out.getvalue()

    def _words(self, item: Item | None) -> str:
        if isinstance(self._study, Refined):
            return self._study.found.design.words
        plan = self._study.study if isinstance(self._study, Compared) else None
        if plan is not None and plan.unit == "prompt":
            return "" if item is None else item.unit
        return "" if plan is None else plan.texts[0].words

    def _sides(self, ballot: Ballot, item: Item) -> tuple[str, str]:
        swapped = Random(f"{ballot.ballot} {self.rater.casefold()} {item.item}").random() < 0.5
        return (item.b, item.a) if swapped else (item.a, item.b)

    def _keep(self, ballot: Ballot, votes: Sequence[Vote]) -> None:
        said = {"format": 1, "ballot": ballot.ballot, "rater": self.rater}
        rows = [vote.model_dump(mode="json") for vote in votes]
        write_atomic(self._paper, json.dumps({**said, "votes": rows}, ensure_ascii=False, indent=1).encode())

    def _votes(self, path: Path) -> list[Vote]:
        paper = self._read(path)
        return [] if paper is None or paper.ballot != self.ballot().ballot else list(paper.votes)

    def _papers(self, ballot: Ballot) -> list[Paper]:
        found = (self._read(path) for path in sorted(self._paper.parent.glob(f"{self._mine}*.json")))
        return [paper for paper in found if paper is not None and paper.ballot == ballot.ballot]

    def _read(self, path: Path) -> Paper | None:
        """``None`` where there is none, or one without a vote."""
        try:
            return Paper.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None


def _can_be_voted_on(study: Refined | Compared) -> bool:
    if isinstance(study, Refined):
        return study.finished and bool(study.found.verdicts)
    return study.finished and len(study.study.arms) == 2 and bool(study.pictures)


def _pictures(study: Stored) -> dict[str, tuple[str, str]]:
    """The pictures of both sides by unit, as far as the library has both."""
    if isinstance(study, Refined):
        found, place = study.found, _place(study)
        shots = {(shot.candidate, shot.seed): shot.picture for shot in found.shots if shot.phase == "verdict"}
        names = ("you", found.finalists[place])
        by = {
            unit: (shots.get((names[0], int(unit))), shots.get((names[1], int(unit))))
            for unit in paired_of(found, place).units
        }
    else:
        assert isinstance(study, Compared)
        known = units(study, 0, 1)
        by = {unit: known.get(unit, (None, None)) for unit in study.pairs[0].units}
    return {unit: (a, b) for unit, (a, b) in by.items() if a is not None and b is not None}


def _place(study: Refined) -> int:
    """Which finalist is voted on: the winner, else the first."""
    found = study.found
    return found.finalists.index(found.winner) if found.winner in found.finalists else 0


def _result(study: Refined | Compared) -> Mapping[str, object]:
    """What was found before, as counting takes it."""
    if isinstance(study, Refined):
        place, design = _place(study), study.found.design
        scorers = {"judges": list(design.judges), "alignment": design.alignment, "diversity": design.diversity}
        paired, verdict = paired_of(study.found, place), study.found.verdicts[place]
    else:
        scorers = study.study.scorers.model_dump(mode="json")
        paired, verdict = study.pairs[0], study.verdicts[0]
    return {
        "pairs": [paired.model_dump(mode="json")],
        "verdicts": [verdict.model_dump(mode="json")],
        "study": {"scorers": scorers},
    }
