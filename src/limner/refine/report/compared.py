"""The report of a comparison."""

from __future__ import annotations

from statistics import fmean

from limner.refine.arms import Scored
from limner.refine.compare import Comparison
from limner.refine.report.page import Fact, Licence, Report
from limner.refine.report.sides import licences_of, sides_of
from limner.session import Session
from limner.types import now
from limner.version import VERSION


def report_of(found: Comparison, session: Session) -> Report:
    """Everything of a comparison on one page. Pictures that the library has no more are shown as missing."""
    study = found.study

    def both(side: int, unit: str) -> tuple[Scored, Scored]:
        return _scored(found, study.references[side], unit), _scored(found, side + 1, unit)

    prompts = [_prompts(found, study.references[k], k + 1) for k in range(len(found.pairs))]
    sides, shown = sides_of(found.verdicts, found.pairs, both, prompts, session)
    alone = len(sides) == 1
    notices = (*study.notices, *(notice.message for paired in found.pairs for notice in paired.notices))
    models = [Licence("drew", each.name, each.licence, each.restrictions, "") for each in found.models]
    return Report(
        kind="comparison",
        headline=found.verdict.sentence if alone else _headline(found),
        outcome=found.verdict.outcome if alone else "",
        words=study.texts[0].words if study.unit == "seed" else "",
        sides=sides,
        facts=_facts(found),
        budget=_budget(found),
        licences=licences_of(models, study.scorers.metrics),
        notices=tuple(dict.fromkeys(notices)),
        provenance={"limner": VERSION, **found.as_json(), "folder": None},
        picture_bytes=shown.bytes,
        picture_side=shown.side,
        created=now(),
    )


def _headline(found: Comparison) -> str:
    """How many sides ended how."""
    outcomes = [verdict.outcome for verdict in found.verdicts]
    said = (f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes))
    return f"{len(outcomes)} sides, each beside its reference: {', '.join(said)}."


def _scored(found: Comparison, arm: int, unit: str) -> Scored:
    """An arm's picture in a unit: at that seed, or the first of that prompt."""
    if found.study.unit == "seed":
        return next(each for each in found.scored[arm, 0] if str(each.trial.seed) == unit)
    text = next(k for k, each in enumerate(found.study.texts) if each.words == unit)
    return found.scored[arm, text][0]


def _prompts(found: Comparison, a: int, b: int) -> tuple[str, str] | None:
    """Both prompts, where they differ."""
    if found.study.texts[0].prompt is not None:
        return None
    first, second = found.study.arms[a].request.prompt, found.study.arms[b].request.prompt
    return None if first == second else (first, second)


def _facts(found: Comparison) -> tuple[Fact, ...]:
    study = found.study
    seeds = f"{study.n} from {study.seed} to {study.seed + study.n - 1}"
    texts = () if study.unit == "seed" else (Fact("prompts", str(len(study.texts))),)
    looks = "once" if len(study.looks.pairs) == 1 else f"at {' and '.join(map(str, study.looks.pairs))}"
    return (
        *texts,
        Fact("seeds of each side", seeds),
        Fact("judged by", ", ".join(study.scorers.judges)),
        Fact("alignment by", study.scorers.alignment or "not measured"),
        Fact("diversity by", study.scorers.diversity or "not measured"),
        Fact("margin", f"{study.margin:g} standard deviations"),
        Fact("smallest gain worth having", f"{study.worthwhile:g} standard deviations"),
        Fact("chance of a false verdict", f"at most {study.alpha:.0%}, over all judges and sides"),
        Fact("looked", looks),
    )


def _budget(found: Comparison) -> tuple[Fact, ...]:
    took = [each for costs in found.taken.costs.values() for each in costs]
    seconds = [each.seconds for each in took if each.seconds is not None]
    peaks = [each.peak_bytes for each in took if each.peak_bytes is not None]
    rows = [Fact("pictures", f"{len(took)} of {found.study.pictures} planned")]
    if seconds:
        rows.append(Fact("seconds of drawing", f"{sum(seconds):.1f}, {fmean(seconds):.2f} a picture"))
    if peaks:
        rows.append(Fact("peak memory", f"{max(peaks) / 1e9:.2f} GB"))
    return tuple(rows)
