"""The report of what adapting a model did: a side a question, before beside after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from limner.refine.arms import Scored
from limner.refine.report.page import Fact, Licence, Report
from limner.refine.report.sides import licences_of, sides_of
from limner.refine.tuned_answers import Answered, Shown
from limner.session import Session
from limner.types import now
from limner.version import VERSION


def report_of(found: Shown, session: Session, facts: Sequence[tuple[str, str]] = ()) -> Report:
    """Everything on one page. ``facts`` are what the LoRA's file says of its training."""

    def both(side: int, unit: str) -> tuple[Scored, Scored]:
        scored = found.answers[side].taken.scored
        before, after = (next(each for each in scored[arm, 0] if str(each.trial.seed) == unit) for arm in (0, 1))
        return before, after

    answers = found.answers
    sides, shown = sides_of(
        [each.verdict for each in answers], [each.paired for each in answers], both, [None] * len(answers), session
    )
    models = [
        Licence("drew", each.name, each.licence, each.restrictions, "")
        for each in dict.fromkeys(model for answer in answers for model in answer.prepared.models)
    ]
    metrics = [name for answer in answers for name in answer.prepared.study.scorers.metrics]
    return Report(
        kind="tuning",
        headline=found.headline,
        numbers=found.numbers,
        outcome="",
        words="",
        sides=tuple(
            replace(side, kind=each.asked.what, kept=(each.words, each.diversity))
            for side, each in zip(sides, answers, strict=True)
        ),
        facts=(*_facts(found), *(Fact(*each) for each in facts)),
        budget=_budget(found),
        licences=licences_of(models, metrics),
        notices=(*found.notices(), f"{found.how}."),
        provenance={"limner": VERSION, **found.as_json(), "folder": None},
        picture_bytes=shown.bytes,
        picture_side=shown.side,
        created=now(),
    )


def _facts(found: Shown) -> tuple[Fact, ...]:
    study = found.study
    rows = [
        Fact("seeds of each side", f"{study.n} from {study.seed} to {study.seed + study.n - 1}"),
        Fact("likeness by", found.answers[0].verdict.judges[0].scorer.scale),
        Fact("words by", ", ".join(study.scorers.judges)),
        Fact("diversity by", study.scorers.diversity or "not measured"),
    ]
    for name, said in (("lost", found.lost), ("kept", found.kept), ("neither shown", found.open)):
        rows.append(Fact(name, ", ".join(said) or "nothing"))
    for each in found.answers:
        rows += [Fact(f"{each.asked.name}: {name}", said) for name, said in rows_of(each)]
    return tuple(rows)


def rows_of(each: Answered) -> list[tuple[str, str]]:
    """What was found beside the verdict: (what, ``0.08 → 0.37``)."""
    near = [(f"likeness to {found.name}", f"{found.before:.3f} → {found.after:.3f}") for found in each.likeness]
    own = "" if each.spread.own is None else f"; its own pictures {each.spread.own:.3f}"
    near.append(("distance between seeds", f"{each.spread.before:.3f} → {each.spread.after:.3f}{own}"))
    return near + [(fact.question, f"{fact.before:.0%} → {fact.after:.0%} yes") for fact in each.facts]


def _budget(found: Shown) -> tuple[Fact, ...]:
    took = [cost for each in found.answers for costs in each.taken.costs.values() for cost in costs]
    seconds = [cost.seconds for cost in took if cost.seconds is not None]
    rows = [Fact("pictures", str(len(took)))]
    if seconds:
        rows.append(Fact("seconds of drawing", f"{sum(seconds):.1f}, {fmean(seconds):.2f} a picture"))
    return tuple(rows)
