"""What a refinement comes to, in plain words; and the pictures worth showing first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from limner.refine.asking import YOU
from limner.refine.compare_scoring import scorer_of
from limner.refine.refinement import Outcome, Refinement, Shot
from limner.refine.strategy import PARAPHRASE, USER

SHOWN = 4


def conclusion(found: Refinement, *, stopped: bool = False) -> Refinement:
    """The Refinement with its outcome, winner and sentence."""
    winner = _winner(found)
    outcome: Outcome
    if stopped:
        outcome, sentence = "stopped", _stopped(found)
    elif not found.design.judges:
        outcome, sentence = "chosen", "The best pictures of your own words. A chosen seed says nothing of a prompt."
    elif winner != USER:
        outcome, sentence = "better", _better(found, winner)
    else:
        outcome, sentence = "kept", _kept(found)
    return found.model_copy(
        update={"outcome": outcome, "winner": winner, "sentence": sentence[0].upper() + sentence[1:]}
    )


def best_pictures(found: Refinement, chosen: Sequence[str | None]) -> tuple[str, ...]:
    """Library ids of the best pictures of the winner (or, not verified, of who is ahead): of the verdict's pictures by
    its judges where there are some, else of the search's by its scorers."""
    if chosen:
        return tuple(each for each in chosen if each is not None)[:SHOWN]
    who = found.winner if found.winner != USER or found.verdicts else found.ahead or USER
    shots = [shot for shot in found.shots if shot.candidate == who and shot.picture is not None and shot.words is None]
    proved = [shot for shot in shots if shot.phase == "verdict"]
    names = found.design.judges if proved else found.design.search
    unique = {shot.picture: shot for shot in proved or shots}
    shots = list(unique.values())
    ranks = _mean_ranks(shots, names)
    order = sorted(range(len(shots)), key=lambda k: (bool(shots[k].faults), ranks[k]))
    return tuple(str(shots[k].picture) for k in order[:SHOWN])


def _mean_ranks(shots: Sequence[Shot], names: Sequence[str]) -> list[float]:
    """Each shot's place by each scorer, from 0 for the best, averaged: scales differ, and of some scorers less is
    better. A shot without a score comes last by that scorer."""
    total = [0.0] * len(shots)
    for name in names:
        sign = 1 if name == YOU else scorer_of(name).sign
        values = [sign * shot.scores[name].value if name in shot.scores else -math.inf for shot in shots]
        for k, value in enumerate(values):
            total[k] += sum(other > value for other in values) + (values.count(value) - 1) / 2
    return total


def _winner(found: Refinement) -> str:
    """The finalist that is better by its verdict; of two the one with the smaller p."""
    better = [
        (min(test.p for test in verdict.judges), name)
        for name, verdict in zip(found.finalists, found.verdicts, strict=True)
        if verdict.outcome == "better"
    ]
    return min(better)[1] if better else USER


def _better(found: Refinement, winner: str) -> str:
    verdict = found.verdicts[found.finalists.index(winner)]
    return f"{verdict.sentence}{_beyond_paraphrase(found, winner)}"


def _kept(found: Refinement) -> str:
    if not found.verdicts:
        return (
            "Keep your words: no rewrite stood above them in the search, so there was nothing to verify"
            f" ({_tried(found)})."
        )
    first = found.verdicts[0]
    said = " ".join(verdict.sentence[0].upper() + verdict.sentence[1:] for verdict in found.verdicts)
    if first.outcome == "no evidence" and len(found.verdicts) == 1:
        return f"Keep your words. {said}"
    return f"Keep your words: nothing better was proven. {said}"


def _stopped(found: Refinement) -> str:
    if found.ahead is None:
        return "Stopped, not verified: no rewrite stands above your words so far."
    edit = found.candidate(found.ahead).edit
    return f"Stopped, not verified: so far the best rewrite is {found.ahead} ({edit}); that it is better is not shown."


def _beyond_paraphrase(found: Refinement, winner: str) -> str:
    """A strategy that cannot beat a random paraphrase has found nothing beyond one; say so, or that it is not known."""
    if found.candidate(winner).strategy == PARAPHRASE:
        return " It is a mere rewording: the strategies found nothing beyond it."
    if found.baseline is None:
        return " No mere rewording could be tried beside it: one might have done as well."
    ours, theirs = found.standing(winner), found.standing(found.baseline)
    above = ours is None or theirs is None or ours.seeds > theirs.seeds or (ours.place or 0) < (theirs.place or 0)
    stood = "it stood above" if above else "it did not stand above"
    return f" In the search {stood} the best mere rewording ({found.baseline}); on fresh seeds that is not tested."


def _tried(found: Refinement) -> str:
    count = len(found.candidates)
    return f"{count} rewrites were tried" if count != 1 else "one rewrite was tried"
