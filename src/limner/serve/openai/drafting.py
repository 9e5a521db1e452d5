"""From OpenAI's parameters to a Limner Request, and what is to be said of the difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.serve.names import refuse_paths
from limner.serve.openai.asked import Asked, Level
from limner.serve.openai.sizes import Sized, fitted, read_size, text_of
from limner.types import MAX_STEPS, Notice, Plan, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

    from limner.serve.openai.sizes import Size
    from limner.serve.service import Service

STEPS: Mapping[Level, float] = {"low": 0.5, "medium": 1.0, "high": 1.5, "xhigh": 2.0, "max": 3.0}
"""Share of the model's own number of steps, by quality."""
FEW = 8  # steps of models that were distilled to so few: more of them make nothing better
FAITHFUL = 0.6  # strength of an edit with input_fidelity high


@dataclass(frozen=True, slots=True)
class Draft:
    """What is drawn, the size of the answer where that is another one, and notices."""

    request: Request
    answered: Size | None
    notices: tuple[Notice, ...]


async def draft(own: Service, asked: Asked, ours: Mapping[str, JsonValue]) -> Draft:
    """The Request that is meant. Raises what ``Request.of`` and planning raise."""
    fields = dict(ours)
    size = read_size(asked.size)
    notices = list(_without_effect(asked, fields))
    model = None if asked.their_model else asked.model
    if asked.input_fidelity == "high" and "mask" not in fields:
        fields.setdefault("strength", FAITHFUL)
    request = Request.of(prompt=asked.prompt, n=asked.n, model=model, **fields)
    refuse_paths(request)
    wants_steps = asked.level != "medium" and request.steps is None
    wants_size = size is not None and request.width is None
    answered = None
    if wants_steps or wants_size or asked.their_model:
        plan = (await own.plan(request.but(n=1)))[0]
        if asked.their_model:
            message = f"{asked.model} is drawn by {plan.model.name}: OpenAI's models are not here"
            notices.append(Notice(code="other-model", message=message))
        if size is not None and request.width is None:
            sized = fitted(size, plan)
            request, answered = _sized(request, sized), sized.answered
            notices += _about_size(size, sized, plan)
        if wants_steps:
            request, said = _stepped(request, asked.level, plan)
            notices += said
    return Draft(request, answered, tuple(notices))


def _sized(request: Request, sized: Sized) -> Request:
    return request if sized.drawn is None else request.but(width=sized.drawn[0], height=sized.drawn[1])


def _about_size(asked: Size, sized: Sized, plan: Plan) -> Iterator[Notice]:
    if sized.answered is not None:
        drawn = sized.drawn or (plan.recipe.width, plan.recipe.height)
        message = (
            f"{plan.model.name} does not draw {text_of(asked)}: drawn at {text_of(drawn)} and resampled; "
            "what stands over at the edges is cut off"
        )
        yield Notice(code="resampled", message=message)


def _stepped(request: Request, level: Level, plan: Plan) -> tuple[Request, list[Notice]]:
    """The request with the steps of a quality."""
    steps = len(plan.recipe.levels) - 1
    if steps <= FEW:
        why = "takes no steps" if steps < 1 else f"was made for {steps} step{'s' if steps > 1 else ''}"
        message = f"quality {level} has no effect: {plan.model.name} {why}"
        return request, [Notice(code="without-effect", message=message)]
    return request.but(steps=min(max(round(steps * STEPS[level]), 1), MAX_STEPS)), []


def _without_effect(asked: Asked, fields: Mapping[str, JsonValue]) -> Iterator[Notice]:
    """Parameters that are taken and change nothing."""
    said: dict[str, str] = {}
    if asked.moderation == "low":
        said["moderation low"] = "the level is the server's to set"
    if asked.style is not None:
        said[f"style {asked.style}"] = "say it in the prompt"
    if "steps" in fields and asked.quality != "auto":
        said[f"quality {asked.quality}"] = "steps says how many"
    if "width" in fields and asked.size != "auto":
        said[f"size {asked.size}"] = "width and height were given"
    if asked.input_fidelity is not None and ("strength" in fields or "mask" in fields):
        said[f"input_fidelity {asked.input_fidelity}"] = "strength or a mask says what is redrawn"
    for what, why in said.items():
        yield Notice(code="without-effect", message=f"{what} has no effect: {why}")
