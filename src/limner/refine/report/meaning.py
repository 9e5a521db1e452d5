"""What a verdict means and what it does not, for readers who did not make it."""

from __future__ import annotations

from limner.evaluate.statistics import pairs_needed
from limner.refine.verdict_types import Test, Verdict
from limner.refine.verdict_words import FAR

EFFECTS = (0.3, 0.5, 0.8, 1.2)
OUTCOMES = {
    "better": "At least one judge finds B better, none finds A better, and it is shown that B does not lose more of "
    "its alignment with the words, or of its diversity, than the margin allows.",
    "worse": "At least one judge finds A better, none finds B better, and A is shown to keep alignment and diversity.",
    "traded off": "Something is gained and something is lost: a judge's gain costs alignment or diversity, or two "
    "judges contradict each other. Which matters more is for you to say.",
    "no evidence": "It does not mean that A and B are equal. It means that so many pairs cannot tell them apart: the "
    "difference seen could as well have come from the seeds. Drawing on until it looks significant would not help: it "
    "makes false verdicts. A new comparison with more pairs, set before it begins, does.",
}


def means(verdict: Verdict) -> str:
    """What the outcome says, in general."""
    return OUTCOMES[verdict.outcome]


def interval_says(verdict: Verdict) -> str:
    """What the first judge's interval leaves open, or that there is none."""
    judge = verdict.judges[0]
    if judge.low is None or judge.high is None:
        return f"{verdict.n} {_units(verdict)} are too few to bound the difference."
    sure = f"{100 * (1 - verdict.level):.3g} %"
    if judge.low <= 0 <= judge.high:
        return (
            f"By {judge.scorer.name} the true difference may be anything from {judge.low:+.3g} to {judge.high:+.3g} "
            f"({sure} interval): zero is among it."
        )
    return (
        f"By {judge.scorer.name} the true difference lies between {judge.low:+.3g} and {judge.high:+.3g} "
        f"({sure} interval), if its pairs are like all others."
    )


def more_says(verdict: Verdict) -> str:
    """How many more units would settle it; empty where it is settled."""
    if verdict.outcome != "no evidence":
        return ""
    if verdict.more is None:
        return "Nothing was seen that more pairs could confirm."
    if verdict.more > FAR:
        return f"What difference there may be is too small for any number of {_units(verdict)} worth drawing."
    return (
        f"About {verdict.more:,} more {_units(verdict)} would settle it in four of five cases, if the difference "
        f"seen is the true one, which nobody knows."
    )


def needs(verdict: Verdict) -> tuple[tuple[str, int], ...]:
    """(difference, pairs that find it in four of five cases) for the first judge, in its own scale."""
    judge = verdict.judges[0]
    if judge.sd == 0:
        return ()
    strict = verdict.level / verdict.hypotheses
    found = ((effect, pairs_needed(effect, strict)) for effect in EFFECTS)
    return tuple((f"{effect * judge.sd:.2g} ({effect:g} SD)", pairs) for effect, pairs in found if pairs is not None)


def finding_says(test: Test, verdict: Verdict) -> str:
    """A test's finding in words."""
    return {
        "A": f"prefers {verdict.a}",
        "B": f"prefers {verdict.b}",
        "neither": "finds no difference",
        "slight": "finds no difference worth having",
        "kept": "kept: a loss beyond the margin is ruled out",
        "lost": "lost",
        "open": "open: a loss beyond the margin is not ruled out",
    }[test.finding]


def _units(verdict: Verdict) -> str:
    return f"{verdict.unit}s"
