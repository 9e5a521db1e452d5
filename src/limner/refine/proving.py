"""The verdict on the finalists: fresh seeds, other scorers, the rules of evidence. The judges see nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from limner.errors import EvidenceError
from limner.evaluate.statistics import least_pairs
from limner.refine.arms import Scored, Trial, differing
from limner.refine.asking import YOU, Ask, Asking
from limner.refine.design import Design
from limner.refine.faults import told
from limner.refine.pairs import Paired, Scorer, Values
from limner.refine.strategy import Candidate
from limner.refine.verdict import Verdict, judge_all
from limner.types import Notice, Request

YOURS = "your prompt"
ScorerOf = Callable[[str], Scorer]


def prove(
    design: Design,
    finalists: Sequence[Candidate],
    scorer_of: ScorerOf,
    complete: Callable[[Request], Request] = lambda request: request,
) -> Asking[tuple[Verdict, ...]]:
    """Draw the user's prompt and the finalists at the verdict's seeds, and judge: one Verdict a finalist.

    ``complete`` fills in what a Request left to the model, so that a verdict names every difference. Raises
    ``EvidenceError`` where too many seeds have no value.
    """
    own = yield from _arm(design, design.request, "your prompt")
    pairs = []
    for k, finalist in enumerate(finalists, 1):
        name = "the rewrite" if len(finalists) == 1 else f"rewrite {k}"
        theirs = yield from _arm(design, finalist.request, name)
        if YOU in design.judges:
            theirs = yield from _voted(design, own, theirs)
        pairs.append(_paired(design, name, own, theirs, finalist, scorer_of, complete))
    return judge_all(
        pairs,
        judges=design.judges,
        alignment=design.alignment,
        diversity=design.diversity,
        margin=design.margin,
        diversity_margin=design.diversity_margin,
        worthwhile=design.worthwhile,
        alpha=design.alpha,
        caps=design.caps,
    )


def metrics_of(design: Design) -> tuple[str, ...]:
    """The metrics that look at the verdict's pictures."""
    names = (*design.judges, *([] if design.alignment is None else [design.alignment]))
    return tuple(dict.fromkeys(name for name in names if name != YOU))


def _arm(design: Design, request: Request, why: str) -> Asking[list[Scored]]:
    trials = tuple(Trial(request=request, seed=seed) for seed in design.verdict_seeds)
    ask = Ask(trials, metrics_of(design), design.words, "verdict", diversity=design.diversity, why=why)
    return list((yield ask))


def _voted(design: Design, own: Sequence[Scored], theirs: Sequence[Scored]) -> Asking[list[Scored]]:
    """Their scores with the person's votes: 1 for the rewrite, -1 for the user's own prompt, 0 for neither."""
    trials, rivals = tuple(each.trial for each in theirs), tuple(each.trial for each in own)
    votes = yield Ask(trials, (YOU,), design.words, "vote", rivals=rivals)
    return [replace(each, scores={**each.scores, **vote.scores}) for each, vote in zip(theirs, votes, strict=True)]


def _paired(
    design: Design,
    name: str,
    own: Sequence[Scored],
    theirs: Sequence[Scored],
    finalist: Candidate,
    scorer_of: ScorerOf,
    complete: Callable[[Request], Request],
) -> Paired:
    metrics = [*design.judges, *(each for each in (design.alignment, design.diversity) if each is not None)]
    metrics = list(dict.fromkeys(metrics))
    values = {m: [(_value(a, m, own=True), _value(b, m)) for a, b in zip(own, theirs, strict=True)] for m in metrics}
    whole = [k for k in range(len(own)) if all(None not in values[m][k] for m in metrics)]
    least = least_pairs(design.alpha, len(design.judges))
    if len(whole) < least:
        raise EvidenceError(
            f"only {len(whole)} of {len(own)} pairs have a value by every scorer ({_why([*own, *theirs])}); a verdict "
            f"needs {least}",
            hint="the pictures are kept; choose another judge: --judge NAME (limner metrics)",
        )
    return Paired(
        a=YOURS,
        b=name,
        unit="seed",
        units=tuple(str(own[k].trial.seed) for k in whole),
        planned=len(own),
        values={m: _column(scorer_of(m), values[m], whole) for m in metrics},
        seeds=tuple(each.trial.seed for each in own),
        differing=differing(complete(design.request), complete(finalist.request)),
        notices=tuple(_missing(name, own, theirs, whole)),
    )


def _value(scored: Scored, metric: str, *, own: bool = False) -> float | None:
    return 0.0 if own and metric == YOU else scored.value(metric)


def _column(scorer: Scorer, values: Sequence[tuple[float | None, float | None]], whole: Sequence[int]) -> Values:
    pairs = [values[k] for k in whole]
    a, b = [x for x, _ in pairs if x is not None], [y for _, y in pairs if y is not None]
    return Values(scorer=scorer, a=tuple(a), b=tuple(b))


def _missing(name: str, own: Sequence[Scored], theirs: Sequence[Scored], whole: Sequence[int]) -> list[Notice]:
    lost = sorted(set(range(len(own))) - set(whole))
    wrong = [Notice(code="picture-fault", message=line) for line in told([(YOURS, own), (name, theirs)])]
    return wrong + [
        Notice(code="no-value", message=f"seed {own[k].trial.seed} is left out: {_why([own[k], theirs[k]])}")
        for k in lost
    ]


def _why(scored: Sequence[Scored]) -> str:
    reasons: Mapping[str, None] = dict.fromkeys(why for each in scored for why in each.failures.values())
    return next(iter(reasons), "a scorer gave no value")
