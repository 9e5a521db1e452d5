"""The report of a refinement: the verdict first, then the search that led to it."""

from __future__ import annotations

from collections.abc import Mapping

from limner.refine.arms import Scored
from limner.refine.asking import YOU
from limner.refine.journal import stored
from limner.refine.pairs import Paired, Values
from limner.refine.refinement import Refinement, Shot
from limner.refine.report.embed import fetch_from
from limner.refine.report.page import Fact, Licence, Plate, Promise, Report
from limner.refine.report.sides import licences_of, model_licence, sides_of
from limner.refine.report.tree import tree_of
from limner.refine.strategy import USER
from limner.refine.verdict_types import Verdict
from limner.session import Session
from limner.session.planning import BUILT_IN_MODEL, merge
from limner.version import VERSION

OUTCOMES = {"kept": "your words stay", "chosen": "chosen"}
"""What is said where no verdict was asked for."""
UNVERIFIED = (
    "No verdict was reached. What the search found was chosen by the very scores and seeds that it was measured by, so "
    "it looks better than it is; nothing here says that it is better."
)


def report_of(found: Refinement, session: Session) -> Report:
    """Everything of a refinement on one page. Pictures that the library has no more are shown as missing."""
    pairs = tuple(paired_of(found, k) for k in range(len(found.verdicts)))

    def both(side: int, unit: str) -> tuple[Scored, Scored]:
        own, theirs = _shots(found, USER), _shots(found, found.finalists[side])
        return own[int(unit)].scored(), theirs[int(unit)].scored()

    own = found.design.request.prompt
    prompts = [(own, found.candidate(name).request.prompt) for name in found.finalists[: len(pairs)]]
    said = [None if a == b else (a, b) for a, b in prompts]
    best = {shot.picture: shot for shot in found.shots if shot.picture in found.best}
    also = {f"best-{name}": fetch_from(shot.scored(), session) for name, shot in best.items()}
    sides, shown = sides_of(found.verdicts, pairs, both, said, session, also)
    verdict = found.verdict
    tree = tree_of(found.candidates, found.rounds, found.finalists, own) if found.candidates else None
    return Report(
        kind="refinement",
        headline=found.sentence,
        outcome=OUTCOMES.get(found.outcome, "not verified") if verdict is None else verdict.outcome,
        words=found.design.words,
        sides=sides,
        facts=_facts(found),
        budget=_budget(found),
        licences=_licences(found, session),
        notices=found.notices,
        provenance={"limner": VERSION, **stored(found)},
        tree=tree,
        promises=_promises(found),
        unverified=UNVERIFIED if found.outcome == "stopped" else "",
        plates=tuple(Plate(shown.shown[f"best-{name}"], _plate(best[name])) for name in found.best if name in best),
        picture_bytes=shown.bytes,
        picture_side=shown.side,
        created=found.created,
    )


def paired_of(found: Refinement, k: int) -> Paired:
    """The paired values behind the ``k``-th verdict, from the pictures that the journal kept."""
    verdict = found.verdicts[k]
    own, theirs = _shots(found, USER), _shots(found, found.finalists[k])
    names = {test.scorer.name: test.scorer for test in verdict.tests}
    both = {name: {s: (_value(own[s], name, own=True), _value(theirs[s], name)) for s in own} for name in names}
    whole = [seed for seed in own if all(None not in both[name][seed] for name in names)]
    values = {}
    for name, scorer in names.items():
        a = tuple(x for seed in whole if (x := both[name][seed][0]) is not None)
        b = tuple(y for seed in whole if (y := both[name][seed][1]) is not None)
        values[name] = Values(scorer=scorer, a=a, b=b)
    return Paired(
        a=verdict.a,
        b=verdict.b,
        unit="seed",
        units=tuple(map(str, whole)),
        planned=len(own),
        values=values,
        seeds=tuple(own),
    )


def _shots(found: Refinement, name: str) -> Mapping[int, Shot]:
    """A candidate's pictures of the verdict by seed, with the votes that were given on them."""
    request = found.design.request if name == USER else found.candidate(name).request
    shots: dict[int, Shot] = {}
    for shot in found.shots:
        if shot.phase == "search" or shot.request.model_dump() != request.model_dump():
            continue
        known = shots.get(shot.seed)
        scores = {**({} if known is None else known.scores), **shot.scores}
        shots[shot.seed] = shot.model_copy(update={"scores": scores})
    return shots


def _value(shot: Shot, metric: str, *, own: bool = False) -> float | None:
    return 0.0 if own and metric == YOU else shot.scored().value(metric)


def _promises(found: Refinement) -> tuple[Promise, ...]:
    """What the search saw of each finalist, and what fresh seeds and other scorers gave."""
    rows = []
    for name, verdict in zip(found.finalists, found.verdicts, strict=False):
        stood = found.standing(name)
        if stood is None:
            continue
        saw = ", ".join(f"{scorer} {gain:+.3g}" for scorer, gain in stood.gains.items())
        rows.append(Promise(verdict.b, f"{saw} over {stood.seeds} seeds", _gave(verdict)))
    return tuple(rows)


def _gave(verdict: Verdict) -> str:
    said = dict.fromkeys(f"{test.scorer.name} {test.gain:+.3g}" for test in verdict.tests if test.role != "diversity")
    return f"{', '.join(said)} over {verdict.n} fresh seeds"


def _plate(shot: Shot) -> str:
    values = ", ".join(f"{name} {score.value:.3g}" for name, score in shot.scores.items())
    return f"seed {shot.seed}: {values}"


def _facts(found: Refinement) -> tuple[Fact, ...]:
    design = found.design
    search = design.search_seeds if design.rungs else range(design.seed, design.seed + design.images)
    fresh = design.verdict_seeds
    baseline = None if found.baseline is None else found.standing(found.baseline)
    rows = [
        Fact("strategies", ", ".join(design.strategies)),
        Fact("searched by", ", ".join(design.search)),
        Fact("judged by", ", ".join(design.judges) or "nobody"),
        Fact("alignment by", design.alignment or "not measured"),
        Fact("diversity by", design.diversity or "not measured"),
        Fact("search seeds", f"{search[0]} to {search[-1]}"),
        Fact("fresh seeds of the verdict", f"{fresh[0]} to {fresh[-1]}" if fresh else "none"),
        Fact("margin", f"{design.margin:g} standard deviations"),
        Fact("smallest gain worth having", f"{design.worthwhile:g} standard deviations"),
    ]
    if baseline is not None:
        gains = ", ".join(f"{name} {gain:+.3g}" for name, gain in baseline.gains.items())
        rows.append(Fact("the paraphrase that went furthest", f"{gains} over {baseline.seeds} seeds"))
    return tuple(rows)


def _budget(found: Refinement) -> tuple[Fact, ...]:
    spent = found.spent
    return (
        Fact("budget", found.design.budget.text()),
        Fact("pictures of the search", str(spent.search)),
        Fact("pictures of the verdict", str(spent.verdict)),
        Fact("drawn anew", f"{spent.drawn} of {spent.pictures}"),
        Fact("time", f"{spent.seconds:.0f} s"),
    )


def _licences(found: Refinement, session: Session) -> tuple[Licence, ...]:
    merged, _origins = merge(found.design.request, session.settings, session.catalog)
    name = merged.model or BUILT_IN_MODEL
    metrics = (*found.design.search, *found.design.judges, found.design.alignment)
    return licences_of(
        [model_licence(name, session.catalog.find(name))], [each for each in metrics if each is not None]
    )
