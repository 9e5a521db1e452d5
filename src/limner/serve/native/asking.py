"""``/api/v1/plan`` and ``/api/v1/lint``: what drawing would cost, and what a model sees in the words."""

from __future__ import annotations

import asyncio
from functools import lru_cache, partial
from typing import Annotated, Self

from fastapi import APIRouter, Depends

from limner.errors import InvalidRequest
from limner.models.adapters.words import pattern_of
from limner.models.catalog import Catalog
from limner.models.resolving.resolve import resolve
from limner.prompts.lint import lint
from limner.prompts.reading import Reading
from limner.prompts.vocabulary import Vocabulary
from limner.serve.names import refuse_path, refuse_paths
from limner.serve.native.bodies import LintBody
from limner.serve.service import Service
from limner.serve.shell import service
from limner.session.planning import load_family
from limner.session.shelf import Shelf
from limner.types import Adapter, Estimate, Notice, Numerics, Plan, Request
from limner.types.base import Frozen

router = APIRouter(tags=["plan"])
Own = Annotated[Service, Depends(service)]


class PlanView(Frozen):
    """What would be drawn, and what that costs. Several, where the prompt's variants or wildcards make several."""

    identity: str
    model: str
    family: str
    prompt: str
    negative: str
    width: int
    height: int
    steps: int
    solver: str | None
    guidance: float
    seeds: tuple[int, ...]
    device: str
    numerics: Numerics
    adapters: tuple[Adapter, ...]
    estimate: Estimate
    notices: tuple[Notice, ...]
    checks: tuple[Notice, ...]

    @classmethod
    def of(cls, plan: Plan) -> Self:
        width, height = plan.recipe.finished
        return cls(
            identity=plan.identity,
            model=plan.model.name,
            family=plan.model.family,
            prompt=plan.prompt,
            negative=plan.negative,
            width=width,
            height=height,
            steps=max(len(plan.recipe.levels) - 1, 0),
            solver=plan.recipe.solver,
            guidance=plan.recipe.guidance,
            seeds=tuple(each.seed for each in plan.seeds),
            device=plan.device,
            numerics=plan.numerics,
            adapters=plan.adapters,
            estimate=plan.estimate,
            notices=plan.notices,
            checks=plan.checks,
        )


class PlanList(Frozen):
    """The Plans of a Request. ``wait``: seconds until it would begin, as far as the queue can tell."""

    plans: tuple[PlanView, ...]
    wait: float


class LintView(Frozen):
    """What a model sees in a prompt: each slot's words, the slots that are empty, words it cannot see, tokens of
    ``limit`` a chunk, problems as sentences, and perhaps a rewrite to show."""

    prompt: str
    model: str
    slots: dict[str, tuple[str, ...]]
    missing: tuple[str, ...]
    main_noun: str | None
    main_noun_unknown: bool
    unknown: tuple[str, ...]
    blind: bool
    tokens: int
    limit: int
    chunks: int
    problems: tuple[str, ...]
    proposal: str | None
    textual_inversions: tuple[str, ...]


@router.post("/plan")
async def plan(own: Own, request: Request) -> PlanList:
    """What drawing a Request would cost. Nothing is drawn, and of a model that is not here no weights are fetched."""
    refuse_paths(request)
    found = await asyncio.to_thread(partial(own.session.foresee, request))
    return PlanList(plans=tuple(map(PlanView.of, found)), wait=own.inside.rate.wait(own.inside.pending))


@router.post("/lint")
async def read(own: Own, body: LintBody) -> LintView:
    """Read a prompt as a model will."""
    return await asyncio.to_thread(partial(linted, own, body))


def linted(own: Service, body: LintBody) -> LintView:
    """As ``limner lint``. Asks the disk. Raises ``InvalidRequest``, ``ModelError``."""
    prompt = Request.of(prompt=body.prompt).prompt
    if body.model is not None:
        refuse_path(body.model, "model")
    name = body.model or str(own.settings.value("model").value or "pocket")
    model, vocabulary = _vocabulary(own, name)
    rest, inversions = _without_own_words(own, prompt)
    found = lint(rest, vocabulary, Reading(webui=body.compat is not None))
    return LintView(
        prompt=prompt,
        model=model,
        slots={slot.value: tuple(words) for slot, words in found.slots.items()},
        missing=tuple(slot.value for slot in found.missing),
        main_noun=found.main_noun,
        main_noun_unknown=found.main_noun_unknown,
        unknown=found.unknown,
        blind=found.blind,
        tokens=found.tokens,
        limit=vocabulary.limit,
        chunks=found.chunks,
        problems=found.problems,
        proposal=found.proposal,
        textual_inversions=inversions,
    )


@lru_cache(maxsize=8)
def _vocabulary(own: Service, name: str) -> tuple[str, Vocabulary]:
    """The model's name and words. Kept: it is asked at every pause in typing."""
    found = resolve(name, own.settings, Catalog.load(), offline=True, folders=False)
    vocabulary = load_family(found.card.family).vocabulary(found.files)
    if vocabulary is None:
        raise InvalidRequest(f"{found.card.name} does not say which words it reads", field="model")
    return found.card.name, vocabulary


def _without_own_words(own: Service, prompt: str) -> tuple[str, tuple[str, ...]]:
    """The prompt without words that are linked textual inversions, which drawing knows, and those words."""
    known = Shelf(own.settings).words(tokens="<" in prompt)
    if not known:
        return prompt, ()
    pattern = pattern_of(known)
    return pattern.sub(" ", prompt), tuple(dict.fromkeys(match.casefold() for match in pattern.findall(prompt)))
