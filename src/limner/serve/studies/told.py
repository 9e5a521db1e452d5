"""Verdicts as short JSON: what a job answers, and what lists show."""

from __future__ import annotations

from pydantic import JsonValue

from limner.refine.compare import Comparison
from limner.refine.refinement import Refinement
from limner.refine.verdict_types import Test, Verdict


def verdict_told(verdict: Verdict) -> dict[str, JsonValue]:
    """The sentence and the numbers it stands on."""
    return {
        "a": verdict.a,
        "b": verdict.b,
        "outcome": verdict.outcome,
        "strength": verdict.strength,
        "sentence": verdict.sentence,
        "n": verdict.n,
        "unit": verdict.unit,
        "more": verdict.more,
        "tests": [test_told(test) for test in verdict.tests],
    }


def test_told(test: Test) -> dict[str, JsonValue]:
    """One scorer's word."""
    return {
        "scorer": test.scorer.name,
        "role": test.role,
        "gain": test.gain,
        "low": test.low,
        "high": test.high,
        "p": test.p if test.adjusted is None else test.adjusted,
        "n": test.n,
        "finding": test.finding,
    }


def refinement_told(found: Refinement) -> dict[str, JsonValue]:
    """A refinement in short."""
    return {
        "study": found.id,
        "refinement": found.id,
        "outcome": found.outcome,
        "verified": found.verified,
        "sentence": found.sentence,
        "winner": found.winner,
        "prompt": found.request.prompt,
        "finalists": list(found.finalists),
        "verdicts": [verdict_told(each) for each in found.verdicts],
        "pictures": list(found.best),
        "drawn": found.spent.drawn,
        "seconds": found.spent.seconds,
        "report": f"/api/v1/studies/{found.id}/report",
    }


def comparison_told(found: Comparison) -> dict[str, JsonValue]:
    """A comparison in short."""
    return {
        "study": found.study.id,
        "comparison": found.study.id,
        "verdicts": [verdict_told(each) for each in found.verdicts],
        "sentence": found.verdict.sentence,
        "report": f"/api/v1/studies/{found.study.id}/report",
    }
