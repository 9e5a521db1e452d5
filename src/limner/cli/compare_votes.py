"""Telling of blind votes: how far raters agree, and the verdict with them."""

from __future__ import annotations

from limner.cli.compare_show import tell_verdict
from limner.cli.drawing import Telling
from limner.cli.sheet import count, out_json, sheet
from limner.refine.voting_count import Counted


def show_votes(counted: Counted, telling: Telling) -> None:
    """JSON, or facts and the verdict."""
    if telling.json:
        out_json(counted.model_dump(mode="json"))
        return
    sheet(
        (
            ("raters", ", ".join(counted.raters)),
            ("votes", count(counted.votes, "vote")),
            ("agreement", _agreement(counted)),
            ("left side", _left(counted)),
        ),
        heading="Votes",
    )
    tell_verdict(counted.verdict)


def _agreement(counted: Counted) -> str:
    if len(counted.raters) < 2:
        return "not known: one rater"
    known = {"Cohen's kappa": counted.kappa, "Krippendorff's alpha": counted.alpha}
    said = ", ".join(f"{name} {value:.2f}" for name, value in known.items() if value is not None)
    return (
        f"{said} (1: full, 0: chance)" if said else "not defined: all answers are alike, or none are of the same pair"
    )


def _left(counted: Counted) -> str:
    if counted.left is None or counted.left_p is None:
        return ""
    lean = "; raters lean to one side" if counted.left_p <= 0.05 else ""
    return f"{counted.left:.0%} of choices (p = {counted.left_p:.2g}){lean}"
