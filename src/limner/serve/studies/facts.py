"""What a study stands on and what it took, as lines of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limner.refine.compare_study import Study
from limner.refine.refinement import Refinement
from limner.serve.studies.views import Fact

if TYPE_CHECKING:
    from limner.serve.studies.store import Compared


def refinement_facts(found: Refinement) -> tuple[Fact, ...]:
    """Who searched, who judged, on which seeds."""
    design = found.design
    rows = [("strategies", ", ".join(design.strategies)), ("searched by", ", ".join(design.search))]
    if design.rungs:
        ladder = ", ".join(f"{rung.candidates} at {rung.seeds} seeds" for rung in design.rungs)
        rows += [("search", ladder), ("search seeds", _span(design.search_seeds))]
    if design.judges:
        rows += [
            ("judged by", ", ".join(design.judges)),
            ("alignment by", design.alignment or "not measured"),
            ("diversity by", design.diversity or "not measured"),
            ("fresh seeds of the verdict", _span(design.verdict_seeds)),
            ("margin", f"{design.margin:g} standard deviations"),
            ("smallest gain worth having", f"{design.worthwhile:g} standard deviations"),
        ]
    return tuple(Fact(name=name, value=value) for name, value in rows)


def refinement_costs(found: Refinement) -> tuple[Fact, ...]:
    """Pictures and time."""
    spent = found.spent
    return (
        Fact(name="budget", value=found.design.budget.text()),
        Fact(name="pictures", value=f"{spent.search} to search, {spent.verdict} for the verdict"),
        Fact(name="drawn anew", value=f"{spent.drawn} of {spent.pictures}"),
        Fact(name="time", value=_time(spent.seconds)),
    )


def comparison_facts(study: Study) -> tuple[Fact, ...]:
    """Who judges, on which seeds, by which margins."""
    looks = "once" if len(study.looks.pairs) == 1 else f"at {' and '.join(map(str, study.looks.pairs))}"
    prompts = [("prompts", str(len(study.texts)))] if study.unit == "prompt" else []
    rows = [
        *prompts,
        ("seeds of each side", f"{study.n}, {study.seed} to {study.seed + study.n - 1}"),
        ("judged by", ", ".join(study.scorers.judges)),
        ("alignment by", study.scorers.alignment or "not measured"),
        ("diversity by", study.scorers.diversity or "not measured"),
        ("margin", f"{study.margin:g} standard deviations"),
        ("smallest gain worth having", f"{study.worthwhile:g} standard deviations"),
        ("chance of a false verdict", f"at most {study.alpha:.0%}, over all judges and sides"),
        ("looked", looks),
    ]
    return tuple(Fact(name=name, value=value) for name, value in rows)


def comparison_costs(found: Compared) -> tuple[Fact, ...]:
    """Pictures."""
    made = sum(len(row) for row in found.pictures.values())
    value = f"{made} of {found.study.pictures} planned" if found.finished else f"{found.study.pictures} planned"
    return (Fact(name="pictures", value=value),)


def _span(seeds: tuple[int, ...]) -> str:
    return f"{len(seeds)}, {seeds[0]} to {seeds[-1]}" if seeds else "none"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
