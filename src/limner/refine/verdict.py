"""The verdict on two arms, by the rules of evidence: better, worse, traded off, or no evidence.

B is better than A where a judge finds it significantly so (paired sign-flip test, Holm over judges and finalists, no
judge the other way) *and* alignment with the user's words and diversity over seeds are shown not to be worse by the
margin. All of that with A for B is worse. A judge's gain at the cost of one of those, or judges that contradict each
other, is traded off. Everything else is no evidence, with how many more units would settle what is open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, NotRequired, TypedDict, Unpack

from limner.errors import EvidenceError, InvalidRequest
from limner.evaluate.statistics import ALPHA, holm, least_pairs
from limner.refine.pairs import Paired
from limner.refine.power import WORTHWHILE, check_worthwhile
from limner.refine.verdict_tests import compare_judge, guard, is_slight, missing_for
from limner.refine.verdict_types import Looks as Looks
from limner.refine.verdict_types import Outcome
from limner.refine.verdict_types import Test as Test
from limner.refine.verdict_types import Verdict as Verdict
from limner.refine.verdict_words import sentence_of

LEAST_PAIRS = 7
"""Below so many units no verdict is given, whatever alpha is."""
MARGIN = 0.5
"""Of the standard deviation of the arm that would lose: how much alignment or diversity may be worse by."""


class Terms(TypedDict):
    """What a verdict is given by; names are those of ``paired.values``.

    ``margin`` is in standard deviations over seeds of the arm that would lose (A, where B would be better);
    ``diversity_margin`` is another one for diversity, where words may ask for pictures that are more alike. A judge's
    difference that is shown to be below ``worthwhile`` standard deviations over seeds counts for nothing. ``looks``
    are the pre-set numbers of units at which it is looked, with how alpha is split; ``None``: once.
    """

    alignment: str | None
    diversity: str | None
    margin: NotRequired[float]
    diversity_margin: NotRequired[float | None]
    worthwhile: NotRequired[float]
    alpha: NotRequired[float]
    looks: NotRequired[Looks | None]


class Claim(NamedTuple):
    """A pair of arms with judges of its own, and its own reasons to be no more than indicative."""

    paired: Paired
    judges: tuple[str, ...]
    caps: tuple[str, ...] = ()


def judge(paired: Paired, *, judges: Sequence[str], caps: Sequence[str] = (), **terms: Unpack[Terms]) -> Verdict:
    """The verdict on one pair of arms.

    ``caps`` are reasons for which the verdict can be no more than indicative. Raises ``InvalidRequest`` for fewer units
    than the test needs, a number of units that is no pre-set look, and unknown scorers; ``EvidenceError`` where no unit
    has a value.
    """
    return judge_all([paired], judges=judges, caps=caps, **terms)[0]


def judge_all(
    finalists: Sequence[Paired], *, judges: Sequence[str], caps: Sequence[str] = (), **terms: Unpack[Terms]
) -> tuple[Verdict, ...]:
    """Verdicts on several finalists at once: the chance of any false one of them is at most ``alpha``. As ``judge``."""
    return judge_each([Claim(each, tuple(judges), tuple(caps)) for each in finalists], **terms)


def judge_each(claims: Sequence[Claim], **terms: Unpack[Terms]) -> tuple[Verdict, ...]:
    """Verdicts on several questions, each by its own judges: Holm goes over all judges of all of them. As ``judge``."""
    alignment, diversity = terms["alignment"], terms["diversity"]
    margin, diversity_margin = terms.get("margin", MARGIN), terms.get("diversity_margin")
    worthwhile, alpha, looks = terms.get("worthwhile", WORTHWHILE), terms.get("alpha", ALPHA), terms.get("looks")
    if not claims:
        _check([], (), ())
    for claim in claims:
        _check([claim.paired], claim.judges, (alignment, diversity))
    margins = {"alignment": margin, "diversity": margin if diversity_margin is None else diversity_margin}
    check_worthwhile(worthwhile)
    for allowed in margins.values():
        if not allowed > 0:
            raise InvalidRequest(
                f"the margin is {allowed:g}; it must be above zero", field="margin", hint="0.5 is usual"
            )
    hypotheses = sum(len(claim.judges) for claim in claims)
    looks = looks or Looks(pairs=(claims[0].paired.planned,), shares=(1.0,))
    levels = [looks.level(claim.paired.planned, alpha) for claim in claims]
    for claim, level in zip(claims, levels, strict=True):
        require_pairs(claim.paired.planned, hypotheses, level, unit=claim.paired.unit)
    raw = [
        [compare_judge(claim.paired, name, level, hypotheses, worthwhile) for name in claim.judges]
        for claim, level in zip(claims, levels, strict=True)
    ]
    adjusted = iter(holm([test.p for tests in raw for test in tests]))
    unmeasured = _unmeasured(alignment, diversity)
    verdicts = []
    for claim, tests, level in zip(claims, raw, levels, strict=True):
        known = tuple(_decided(test, next(adjusted), level) for test in tests)
        guards = {"alignment": alignment, "diversity": diversity}
        reasons = (*claim.caps, *unmeasured)
        verdicts.append(
            _verdict(claim.paired, known, guards, margins, worthwhile, alpha, level, looks, hypotheses, reasons)
        )
    return tuple(verdicts)


def require_pairs(pairs: int, hypotheses: int, alpha: float, *, unit: str = "seed", whole: int | None = None) -> None:
    """Raises ``InvalidRequest`` where so many units cannot reach ``alpha``, whatever their values, and always below
    ``LEAST_PAIRS``. ``whole``: of how many in all these are a first look."""
    least = max(LEAST_PAIRS, least_pairs(alpha, hypotheses))
    if pairs >= least:
        return
    if whole is not None and whole > pairs:
        raise InvalidRequest(
            f"{whole} {unit}s are too few to look twice: the first look, at {pairs}, needs at least {least}",
            field="n",
            hint=f"give at least {2 * least - 1}, or look once",
        )
    judges = "1 test" if hypotheses == 1 else f"{hypotheses} tests"
    raise InvalidRequest(
        f"{pairs} {unit}{'s' * (pairs != 1)} cannot decide anything: {judges} at {alpha:.3g} need at least {least}",
        field="n",
        hint=f"give at least {least}; 24 find a difference of 0.6 standard deviations in four of five cases",
    )


def _decided(test: Test, adjusted: float, level: float) -> Test:
    """A judge's test with its p after Holm, and what it finds: nothing worth having where the interval says so."""
    found = "slight" if is_slight(test) else "neither" if adjusted > level else "B" if test.gain > 0 else "A"
    return test.model_copy(update={"adjusted": adjusted, "finding": found})


def _verdict(
    paired: Paired,
    judged: tuple[Test, ...],
    names: dict[str, str | None],
    margins: Mapping[str, float],
    worthwhile: float,
    alpha: float,
    level: float,
    looks: Looks,
    hypotheses: int,
    caps: tuple[str, ...],
) -> Verdict:
    found = {test.finding for test in judged} - {"neither", "slight"}
    toward = -1 if found == {"A"} else 1
    guards = tuple(
        guard(paired, name, role, margins[role], level, toward) for role, name in names.items() if name is not None
    )
    outcome = _outcome(found, guards)
    open_side = toward if found else None
    more = None if outcome != "no evidence" else missing_for(judged, guards, open_side, level / hypotheses, level)
    if len(paired.units) < paired.planned:
        caps = (*caps, f"{paired.planned - len(paired.units)} of {paired.planned} {paired.unit}s gave no value")
    verdict = Verdict(
        a=paired.a,
        b=paired.b,
        outcome=outcome,
        strength="indicative" if caps else "confirmed",
        caps=caps,
        sentence="",
        tests=(*judged, *guards),
        unit=paired.unit,
        n=len(paired.units),
        seeds=paired.seeds,
        alpha=alpha,
        level=level,
        look=looks.number(paired.planned),
        looks=looks,
        hypotheses=hypotheses,
        margin=margins["alignment"],
        diversity_margin=margins["diversity"],
        worthwhile=worthwhile,
        more=more,
        differing=paired.differing,
        notices=paired.notices,
    )
    return verdict.model_copy(update={"sentence": sentence_of(verdict)})


def _outcome(found: Collection[str], guards: Sequence[Test]) -> Outcome:
    if not found:
        return "no evidence"
    findings = {test.finding for test in guards}
    if len(found) == 2 or "lost" in findings:
        return "traded off"
    if "open" in findings:
        return "no evidence"
    return "better" if found == {"B"} else "worse"


def _unmeasured(alignment: str | None, diversity: str | None) -> tuple[str, ...]:
    given = {"alignment with the words": alignment, "diversity over seeds": diversity}
    return tuple(f"{what} was not measured" for what, name in given.items() if name is None)


def _check(finalists: Sequence[Paired], judges: Sequence[str], guards: Sequence[str | None]) -> None:
    if not finalists or not judges:
        raise InvalidRequest("a verdict needs two arms and a judge", field="judges", hint="name a metric: --judge NAME")
    if len(set(judges)) != len(judges):
        raise InvalidRequest("a judge is named twice", field="judges", hint="each judge counts once")
    for paired in finalists:
        if not paired.units:
            why = paired.notices[-1].message if paired.notices else "see its scores"
            raise EvidenceError(
                f"no {paired.unit} has a value by every scorer: {why}",
                hint="the pictures are kept; choose other scorers (limner metrics), and only scoring is done anew",
            )
        for name in (*judges, *(each for each in guards if each is not None)):
            if name not in paired.values:
                known = ", ".join(sorted(paired.values)) or "none"
                raise InvalidRequest(f"there are no values by {name!r}", field="judges", hint=f"there are: {known}")
