"""What the reports of a comparison and of a refinement have in common: a verdict with its cases, plots and licences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from limner import registry
from limner.evaluate.metric import MetricCard
from limner.models.catalog import Card
from limner.refine.arms import Scored
from limner.refine.pairs import Paired
from limner.refine.report.cases import Case, Choice, chosen, values_in
from limner.refine.report.changes import changes
from limner.refine.report.embed import Album, Fetch, album, fetch_from
from limner.refine.report.page import Licence, Side
from limner.refine.report.plots import dot_plot, scatter
from limner.refine.verdict_types import Verdict
from limner.session import Session

MOST_CASES = 48
"""Pairs of pictures on a page, over all sides."""
FEWEST_CASES = 6
MOST_SCATTERS = 3

Both = Callable[[int, str], tuple[Scored, Scored]]
"""The pictures of A and B of a side (by its place) in a unit."""


def sides_of(
    verdicts: Sequence[Verdict],
    pairs: Sequence[Paired],
    both: Both,
    prompts: Sequence[tuple[str, str] | None],
    session: Session,
    also: Mapping[str, Fetch] | None = None,
) -> tuple[tuple[Side, ...], Album]:
    """All sides with their pictures, fetched and made small enough together with those of ``also``. ``prompts`` are
    A's and B's where they differ."""
    most = max(FEWEST_CASES, MOST_CASES // max(1, len(pairs)))
    picked = [
        chosen(paired, verdict.judges[0].scorer.name, most) for paired, verdict in zip(pairs, verdicts, strict=True)
    ]
    pictures = dict(also or {})
    for k, (paired, choices) in enumerate(zip(pairs, picked, strict=True)):
        for choice in choices:
            a, b = both(k, paired.units[choice.place])
            pictures[_name(k, choice, "a")], pictures[_name(k, choice, "b")] = (
                fetch_from(a, session),
                fetch_from(b, session),
            )
    shown = album(pictures)
    sides = tuple(
        _side(verdict, paired, [_case(k, choice, paired, shown) for choice in choices], said)
        for k, (verdict, paired, choices, said) in enumerate(zip(verdicts, pairs, picked, prompts, strict=True))
    )
    return sides, shown


def licences_of(models: Iterable[Licence], metrics: Iterable[str]) -> tuple[Licence, ...]:
    """Each model and scorer once."""
    return tuple(dict.fromkeys((*models, *(found for name in metrics if (found := _licence(name)) is not None))))


def model_licence(name: str, card: Card | None) -> Licence:
    """What a model's card says; a model without one says nothing."""
    if card is None:
        return Licence("drew", name, "not known", "", "")
    return Licence("drew", card.name, card.licence, card.restrictions, card.repo or "built in")


def _licence(metric: str) -> Licence | None:
    if metric not in registry.names("metrics"):
        return None
    card = getattr(registry.load("metrics", metric), "card", None)
    if not isinstance(card, MetricCard):
        return None
    return Licence("scored", card.name, card.licence, card.restrictions, card.source)


def _side(verdict: Verdict, paired: Paired, cases: Sequence[Case], prompts: tuple[str, str] | None) -> Side:
    found = {test.finding for test in verdict.judges} - {"neither", "slight"}
    toward = -1 if found == {"A"} else 1
    plots = [dot_plot(test, paired.values[test.scorer.name], paired.units, toward) for test in verdict.tests]
    guards = [test.scorer.name for test in verdict.guards if test.role == "alignment"]
    names = _compared([test.scorer.name for test in verdict.judges], guards)
    agreement = [scatter(paired.values[x], paired.values[y], paired.units) for x, y in names[:MOST_SCATTERS]]
    said = () if prompts is None else changes(*prompts)
    return Side(verdict, tuple(cases), tuple(plots), tuple(agreement), said, len(paired.units), *(prompts or ("", "")))


def _compared(judges: Sequence[str], guards: Sequence[str]) -> list[tuple[str, str]]:
    """Whose differences are laid against whose: the alignment scorer's against each judge's, then judges' against each
    other's. Diversity is no opinion of a picture, so it is left out."""
    among = [(x, y) for k, y in enumerate(judges) for x in judges[k + 1 :]]
    return [(x, y) for x in guards if x not in judges for y in judges] + among


def _case(side: int, choice: Choice, paired: Paired, shown: Album) -> Case:
    return Case(
        id=f"case-{side}-{choice.place}",
        unit=paired.units[choice.place],
        mark=choice.mark,
        gain=choice.gain,
        words=values_in(paired, choice.place),
        a=shown.shown[_name(side, choice, "a")],
        b=shown.shown[_name(side, choice, "b")],
    )


def _name(side: int, choice: Choice, arm: str) -> str:
    return f"{side}-{choice.place}-{arm}"
