"""Everything that can be refused is refused here, before the first picture: words, scorers, independence, budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limner.errors import InvalidRequest, NotIndependent, UnknownName
from limner.evaluate.defaults import Panel, panel
from limner.evaluate.metric import MetricCard
from limner.evaluate.statistics import ALPHA
from limner.models.machine import probe
from limner.prompts.extra_networks import parse as without_tags
from limner.refine.asking import YOU
from limner.refine.atoms import plain
from limner.refine.believing import caps_of
from limner.refine.cards import card_of
from limner.refine.compare_scoring import check_scorers, world_of
from limner.refine.design import LARGEST_SEED, Budget, Design, divided, images_of, seed_of
from limner.refine.diversity import measure_of
from limner.refine.language_model import server
from limner.refine.power import WORTHWHILE, check_worthwhile
from limner.refine.strategy import load, with_baseline
from limner.refine.verdict import MARGIN
from limner.session import Session
from limner.session.planning import load_family
from limner.types import Plan, Request

LEAST_CHOSEN = 2
LARGEST_MARGIN = 100


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user may say of a refinement; empty: what suits the model and the machine.

    ``text``: the words that pictures are scored against, where these are not the prompt's. ``force`` admits judges
    that are not independent of the search, and caps the verdict.
    """

    budget: Budget
    strategies: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    text: str | None = None
    margin: float = MARGIN
    alpha: float = ALPHA
    force: bool = False
    interactive: bool = False
    diversity_margin: float | None = None
    worthwhile: float = WORTHWHILE
    llm: str = ""
    llm_model: str = ""
    expander: str = ""


def design_of(request: Request, session: Session, wishes: Wishes) -> Design:
    """The Design of a refinement. Draws nothing. Raises ``InvalidRequest`` (a budget too small for a verdict, a prompt
    that is several, identical scorers), ``NotIndependent``, ``ScorerOutOfDomain``, and what planning raises."""
    _check_numbers(wishes, request)
    plan = _planned(request, session)
    words = plain(without_tags(request.prompt).text) if wishes.text is None else " ".join(wishes.text.split())
    if not words:
        raise InvalidRequest("there are no words to refine", field="prompt", hint='limner refine "a red fox"')
    chosen, caps = scorers_of(plan, session, wishes)
    strategies = with_baseline(wishes.strategies)
    _check_models(wishes, strategies, offline=session.offline)
    seeds_only = load(strategies[0]).chooses == "seed"
    images = images_of(wishes.budget, plan.estimate.seconds_per_image)
    if seeds_only and images < LEAST_CHOSEN:
        raise InvalidRequest("one picture leaves nothing to choose", field="budget", hint="--budget 16images")
    rungs, pairs, finalists = ((), 0, 1) if seeds_only else divided(images, len(chosen.judges), alpha=wishes.alpha)
    aligned = [name for name in chosen.search if card_of(name).takes == "picture and text"]
    guard, unguarded = _guard(chosen, aligned)
    also = () if seeds_only else (*unguarded, *caps_of(chosen.judges, [words]))
    parts = [wishes.budget.text(), strategies, chosen.search, chosen.judges, wishes.llm, wishes.expander]
    return Design(
        request=request.model_copy(update={"n": 1, "seed": None}),
        words=words,
        strategies=strategies,
        search=chosen.search,
        judges=() if seeds_only else chosen.judges,
        floor=aligned[0] if aligned else None,
        alignment=guard,
        diversity=measure_of(session, chosen.search),
        caps=tuple(dict.fromkeys((*caps, *also))),
        budget=wishes.budget,
        images=images,
        rungs=rungs,
        pairs=pairs,
        finalists=finalists,
        seed=request.seed if request.seed is not None else seed_of(request, words, parts),
        margin=wishes.margin,
        alpha=wishes.alpha,
        interactive=wishes.interactive,
        diversity_margin=wishes.diversity_margin,
        worthwhile=wishes.worthwhile,
        identity=plan.identity,
        llm=wishes.llm,
        llm_model=wishes.llm_model,
        expander=wishes.expander,
    )


def _check_numbers(wishes: Wishes, request: Request) -> None:
    margins = [wishes.margin, *([] if wishes.diversity_margin is None else [wishes.diversity_margin])]
    for margin in margins:
        if not 0 < margin <= LARGEST_MARGIN:  # NaN too
            raise InvalidRequest(
                f"margin: {margin} is not between 0 and {LARGEST_MARGIN}", field="margin", hint="0.5 is usual"
            )
    check_worthwhile(wishes.worthwhile)
    if not 0 < wishes.alpha < 1:
        raise InvalidRequest(f"alpha: {wishes.alpha} is no chance", field="alpha", hint="0.05 is usual")
    if request.seed is not None and request.seed > LARGEST_SEED:
        raise InvalidRequest(
            f"seed: {request.seed} leaves no room for the verdict's", field="seed", hint=f"at most {LARGEST_SEED}"
        )


def _check_models(wishes: Wishes, strategies: Sequence[str], *, offline: bool) -> None:
    """Raises ``InvalidRequest`` for a language model that nobody uses or that is missing, ``OfflineError``."""
    if "opt2i" in strategies and not wishes.llm:
        raise InvalidRequest(
            "the strategy opt2i asks a language model, and none is named",
            field="llm",
            hint="--llm URL of an OpenAI-compatible server, or --llm of a model folder or hub repo",
        )
    if wishes.llm and "opt2i" not in strategies:
        raise InvalidRequest("llm: no strategy asks a language model", field="llm", hint="--strategy opt2i does")
    if wishes.expander and "expand" not in strategies:
        raise InvalidRequest("expander: the strategy expand is not used", field="expander", hint="--strategy expand")
    if "://" in wishes.llm:
        server(wishes.llm, wishes.llm_model, offline=offline)


def _planned(request: Request, session: Session) -> Plan:
    """The one Plan of a Request. Raises ``InvalidRequest`` for a prompt that says something else at other seeds."""
    if request.variation > 0:
        raise InvalidRequest(
            "variation: refining compares many seeds, and a variation is of one", field="variation", hint="leave it out"
        )
    plans = session.plan(request.model_copy(update={"n": 8, "seed": 0}))
    if len({plan.prompt for plan in plans}) > 1:
        raise InvalidRequest(
            "the prompt has variants or wildcards: it is several prompts",
            field="prompt",
            hint="refine one of them; limner compare takes a file of prompts",
        )
    return plans[0]


def scorers_of(plan: Plan, session: Session, wishes: Wishes) -> tuple[Panel, tuple[str, ...]]:
    """Who searches and who judges, and the reasons why a verdict of theirs is indicative only."""
    card = session.catalog.find(plan.model.name)
    world = world_of(card)
    usual = panel(world, plan.device, probe())
    judges = (YOU,) if wishes.interactive and not wishes.judges else wishes.judges or usual.judges
    chosen = Panel(wishes.search or usual.search, judges, usual.capped, usual.reason)
    measured = [name for name in chosen.names if name != YOU]
    for name in measured:
        _known(name, wishes)
    check_scorers(session, measured, {plan.model.name: world})
    # On a CPU the usual judge is the search's sister: what nobody chose is no mistake to refuse, and caps the verdict.
    usually = usual.capped and chosen.search == usual.search and judges == usual.judges
    caps = _independent([card_of(name) for name in chosen.search], _cards(judges), force=wishes.force or usually)
    if usual.capped and judges == usual.judges:
        caps = (usual.reason, *caps)
    return chosen, caps


def _guard(chosen: Panel, aligned: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """Who guards alignment with the words, and what is to be said of it.

    Of several judges the first that reads words, which searched nothing. A lone judge that reads them is that witness
    itself, and the search's own scorer guards beside it; where no judge does, that is all there is.
    """
    reading = [name for name in chosen.judges if name == YOU or card_of(name).takes == "picture and text"]
    first = aligned[0] if aligned else None
    if not reading:
        return first, () if first is None else (f"alignment was guarded by {first}, which searched",)
    others = [name for name in reading if name != YOU]
    return (others[0] if len(chosen.judges) > 1 and others else first or (others[0] if others else None)), ()


def _known(name: str, wishes: Wishes) -> None:
    try:
        card_of(name)
    except UnknownName as error:
        if name not in (*wishes.search, *wishes.judges):
            error.hint = f"it is the usual scorer here; choose others: --scorer and --judge. {error.hint}"
        raise


def _cards(names: Sequence[str]) -> list[MetricCard]:
    return [card_of(name) for name in names if name != YOU]


def _independent(search: Sequence[MetricCard], judges: Sequence[MetricCard], *, force: bool) -> tuple[str, ...]:
    """Reasons for which the judges are no independent witnesses of what was searched. Raises ``NotIndependent``."""
    found = [(judge, other) for judge in judges for other in search if not judge.independent_of(other)]
    reasons = tuple(_shared(judge, other) for judge, other in found)
    same = [judge.name for judge, other in found if judge.name == other.name]
    if reasons and (same or not force):
        hint = "a scorer cannot judge what it chose itself" if same else "--force judges all the same, as indicative"
        raise NotIndependent(reasons[0], hint=f"choose another judge: --judge NAME (limner metrics); {hint}")
    return reasons


def _shared(judge: MetricCard, other: MetricCard) -> str:
    if judge.name == other.name:
        return f"{judge.name} is both search scorer and judge"
    common = {judge.backbone, *judge.training_data} & {other.backbone, *other.training_data} - {""}
    return f"the judge {judge.name} and the search scorer {other.name} share {', '.join(sorted(common))}"


def honours(plan: Plan, field: str) -> bool:
    """Does the model of this Plan heed a field of the Request?"""
    return field in load_family(plan.recipe.family).honours


def weighs(plan: Plan) -> bool:
    """Does the model heed ``(word:1.3)``?"""
    return plan.recipe.family in ("sd", "sdxl")
