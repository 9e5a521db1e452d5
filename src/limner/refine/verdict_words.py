"""A verdict in plain words: one sentence that says what was found, how sure, and what it stands on."""

from __future__ import annotations

from limner.refine.verdict_types import Test, Verdict

NOTHING = 1e-12
COSINE = "mean cosine"
"""How the scale of a likeness begins. It is told to three places: what is below them is nothing."""
FAR = 2_000
"""So many more units are no advice any more."""


def sentence_of(verdict: Verdict) -> str:
    """The sentence that stands first in every report. Says "indicative" where the verdict is capped."""
    said = {
        "better": lambda: f"{verdict.b} is better than {verdict.a}{_why(verdict, 'B')}{_kept(verdict)}",
        "worse": lambda: (
            f"{verdict.b} is worse than {verdict.a}{_why(verdict, 'A', told='B')}{_kept(verdict, verdict.a)}"
        ),
        "traded off": lambda: _traded(verdict),
        "no evidence": lambda: _none(verdict),
    }[verdict.outcome]()
    capped = f" Indicative only: {'; '.join(verdict.caps)}." if verdict.caps else ""
    return f"{said}.{capped}"


def span(test: Test, side: str = "B") -> str:
    """The gain with its interval, ``+0.42 (+0.20 to +0.64)``: that of B over A, or of A over B for ``side`` A."""
    gain, low, high = test.gain, test.low, test.high
    if side == "A":
        gain, low, high = -gain, None if high is None else -high, None if low is None else -low
    said = _thousandths if test.scorer.scale.startswith(COSINE) else _signed
    if low is None or high is None:
        return said(gain)
    return f"{said(gain)} ({said(low)} to {said(high)})"


def _thousandths(value: float) -> str:
    rounded = round(value, 3)
    return f"{rounded:+.3f}" if rounded else "0.000"


def _signed(value: float) -> str:
    """A rounding away from zero is zero: where nothing differs, the interval's ends are."""
    return f"{0.0 if abs(value) < NOTHING else value:+.3g}"


def _why(verdict: Verdict, side: str, told: str | None = None) -> str:
    """By which judges ``side`` wins; gains are those of ``told`` over the other, of the winner where it is not said."""
    found = [test for test in verdict.judges if test.finding == side]
    parts = ", ".join(f"{test.scorer.name} {span(test, told or side)}, {p_of(verdict, test)}" for test in found)
    return f" by {parts} over {verdict.n} {_units(verdict)}"


def _kept(verdict: Verdict, by: str = "") -> str:
    """Guards are those of the winner; ``by`` names it where it is not the arm that the sentence is about."""
    names = " and ".join(test.role for test in verdict.guards)
    said = f" by {by}" if by else ""
    return f"; {names} {'are' if len(verdict.guards) > 1 else 'is'} kept{said}" if names else ""


def _traded(verdict: Verdict) -> str:
    lost = [test for test in verdict.guards if test.finding == "lost"]
    sides = {test.finding for test in verdict.judges} - {"neither", "slight"}
    if len(sides) == 2:
        ours = ", ".join(test.scorer.name for test in verdict.judges if test.finding == "B")
        theirs = ", ".join(test.scorer.name for test in verdict.judges if test.finding == "A")
        over = f"over {verdict.n} {_units(verdict)}"
        return f"Traded off: {ours} prefers {verdict.b} and {theirs} prefers {verdict.a}, {over}"
    (side,) = sides
    winner = verdict.b if side == "B" else verdict.a
    costs = " and ".join(f"{test.role} ({test.scorer.name} {span(test, side)})" for test in lost)
    return f"Traded off: {winner} wins{_why(verdict, side)}, but loses {costs}"


def _none(verdict: Verdict) -> str:
    found = [test for test in verdict.judges if test.finding in ("A", "B")]
    slight = [test for test in verdict.judges if test.finding == "slight"]
    if len(slight) == len(verdict.judges):
        return _nothing_worthwhile(verdict, slight[0])
    if not found:
        best = min(verdict.judges, key=lambda test: test.p)
        by = f"{best.scorer.name} {span(best)}, {p_of(verdict, best)}"
        said = f"No evidence that {verdict.a} and {verdict.b} differ: {by}"
    else:
        winner = verdict.b if found[0].finding == "B" else verdict.a
        names = " and ".join(test.role for test in verdict.guards if test.finding == "open")
        side = str(found[0].finding)
        said = f"No evidence yet: {winner} scores higher{_why(verdict, side)}, but that {names} holds is not shown"
    over = "" if found else f" over {verdict.n} {_units(verdict)}"
    return said + over + _more(verdict)


def _nothing_worthwhile(verdict: Verdict, test: Test) -> str:
    return (
        f"No difference worth having between {verdict.a} and {verdict.b}: {test.scorer.name} {span(test)} over "
        f"{verdict.n} {_units(verdict)} is within {test.worthwhile or 0:.2g} ({verdict.worthwhile:g} SD)"
    )


def _more(verdict: Verdict) -> str:
    detectable = next((t.detectable for t in verdict.judges if t.detectable is not None), None)
    so_many = f"{verdict.n} {_units(verdict)}"
    least = "" if detectable is None else f"; {so_many} find a difference of {detectable:.3g} in four of five cases"
    small = next((t for t in verdict.judges if t.needed is not None and t.needed > verdict.n), None)
    if small is not None and least:
        least += f", the smallest worth having ({small.worthwhile:.2g}) takes {small.needed}"
    if verdict.more is None:
        return least
    if verdict.more > FAR:
        return f"{least}; what difference there may be is too small for any number of {_plural(verdict)} worth drawing"
    units = verdict.unit if verdict.more == 1 else _plural(verdict)
    return f"{least}; about {verdict.more} more {units} would settle it, if it is as large as it looks"


def _units(verdict: Verdict) -> str:
    return verdict.unit if verdict.n == 1 else _plural(verdict)


def _plural(verdict: Verdict) -> str:
    return f"{verdict.unit}s"


def p_of(verdict: Verdict, test: Test) -> str:
    """``p = 0.012 after Holm over 6``."""
    p = test.p if test.adjusted is None else test.adjusted
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    return shown if verdict.hypotheses == 1 else f"{shown} after Holm over {verdict.hypotheses}"
