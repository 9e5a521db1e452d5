"""The forms of the Compare page: from their fields to jobs, and what a job will cost. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from limner.errors import InvalidRequest, LimnerError
from limner.evaluate.defaults import panel
from limner.models.machine import probe
from limner.refine.compare_arms import Axis, arms_of, axis_of
from limner.refine.compare_study import SEEDS, SEEDS_PER_PROMPT
from limner.refine.design import Budget, divided
from limner.refine.pairs import Unit
from limner.refine.power import foreseen
from limner.serve.names import refuse_paths
from limner.serve.native.bodies import CompareJob, RefineJob
from limner.serve.service import Service
from limner.serve.studio.forms import Form
from limner.types import Plan, Request

AXES = ("steps", "guidance", "solver", "model", "size", "styles", "loras", "negative")
"""Settings that a grid is drawn over."""
SIDE = ("model", "negative", "steps", "guidance", "size")
"""What a side of A/B may say beside its prompt."""
USUAL = 160
Wanted = RefineJob | CompareJob
J = TypeVar("J", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a study takes. ``lines`` say what is done, ``trouble`` what stands against it."""

    pictures: int = 0
    seconds: float | None = None
    lines: tuple[str, ...] = ()
    trouble: str = ""
    hint: str = ""


def wanted_of(form: Form) -> Wanted:
    """The job that a form asks for. Raises ``InvalidRequest``."""
    match form.one("new"):
        case "ab":
            return sides_of(form)
        case "grid":
            return grid_of(form)
        case _:
            return refine_of(form)


def refine_of(form: Form) -> RefineJob:
    """A refinement. Raises ``InvalidRequest``."""
    said: dict[str, object] = {
        "kind": "refine",
        "request": _request(form, ""),
        "strategies": form.all("strategies"),
        "worthwhile": form.one("worthwhile") or 0.2,
    }
    amount = form.one("budget") or str(USUAL)
    own = form.one("budget_own").strip()
    budget = Budget.parse(own if amount == "own" and own else amount if amount != "own" else str(USUAL))
    said |= {"images": budget.images or USUAL, "seconds": budget.seconds}
    if form.one("text").strip():
        said["text"] = form.one("text").strip()
    return _checked(RefineJob, said)


def sides_of(form: Form) -> CompareJob:
    """Two sides or three. What B leaves empty is as A has it. Raises ``InvalidRequest``."""
    first = _fields(form, "a_")
    arms = [{"name": "A", "request": _request(form, "a_")}]
    for letter in ("b", "c"):
        own = _fields(form, f"{letter}_")
        if own:
            request = _asked({**first, **own})
            arms.append({"name": letter.upper(), "request": request})
    if len(arms) < 2:
        raise InvalidRequest(
            "B is as A: there is nothing to compare",
            field="b_prompt",
            hint="give B other words, another model or setting",
        )
    said: dict[str, object] = {"kind": "compare", "arms": arms, "prompts": _lines(form.one("prompts"))}
    if form.one("n").strip():
        said["n"] = form.one("n").strip()
    if form.one("seed").strip():
        said["seed"] = form.one("seed").strip()
    if form.one("text").strip() and not said["prompts"]:
        said["text"] = form.one("text").strip()
    return _checked(CompareJob, said)


def grid_of(form: Form) -> CompareJob:
    """All combinations of two settings' values. Raises ``InvalidRequest``."""
    axes: list[Axis] = []
    models: list[str] = []
    for k in ("1", "2"):
        name, values = form.one(f"axis_{k}"), form.one(f"values_{k}").strip()
        if not name or not values:
            continue
        if name not in AXES or name in {axis[0] for axis in axes} or (name == "model" and models):
            raise InvalidRequest(
                f"axis: {name[:40]!r} is no setting, or there twice", field=f"axis_{k}", hint="choose two"
            )
        if name == "model":
            models = list(dict.fromkeys(each.strip() for each in values.split(",") if each.strip()))
        else:
            axes.append(axis_of(f"{name}={values}"))
    if not axes and not models:
        raise InvalidRequest("a grid needs a setting with some values", field="values_1", hint="steps: 4, 8, 16")
    request = _request(form, "")
    fields = request.model_dump(exclude_unset=True, exclude={"prompt", "model"} if models else {"prompt"})
    arms = arms_of([request.prompt], models, axes, fields)
    if len(arms) < 2:
        raise InvalidRequest("one value makes no grid", field="values_1", hint="separate values with commas: 4, 8, 16")
    judged = form.one("judged") == "1"
    said: dict[str, object] = {
        "kind": "compare",
        "judged": judged,
        "n": form.one("n").strip() or (SEEDS if judged else 1),
    }
    said["arms"] = [
        {"name": arm.name, "request": arm.request.model_dump(mode="json", exclude_unset=True, exclude={"n", "seed"})}
        for arm in arms
    ]
    return _checked(CompareJob, said)


def cost_of(own: Service, form: Form) -> Cost:
    """What the form's study takes; what is wrong with it is told, not raised. Asks the disk, never the network."""
    if not (form.one("prompt") or form.one("a_prompt")).strip():
        return Cost()
    try:
        wanted = wanted_of(form)
        return _refining(own, wanted) if isinstance(wanted, RefineJob) else _comparing(own, wanted)
    except LimnerError as error:
        return Cost(trouble=error.message, hint=error.hint)


def _refining(own: Service, wanted: RefineJob) -> Cost:
    plan = _foreseen(own, wanted.request)
    each = plan.estimate.seconds_per_image
    if wanted.seconds is not None and not each:
        raise InvalidRequest("how long a picture takes here is not known yet", hint="give the budget in pictures")
    images = wanted.images or USUAL if wanted.seconds is None else int(wanted.seconds / (each or 1.0))
    card = own.session.catalog.find(plan.model.name)
    chosen = panel(None if card is None else card.world, plan.device, probe())
    judges = wanted.judges or chosen.judges
    if wanted.strategies == ("seeds",):
        return Cost(images, _times(each, images), (f"the best of {images} pictures of your own words",))
    rungs, pairs, finalists = divided(images, len(judges))
    verdict = (1 + finalists) * pairs
    search = images - verdict
    by = ", ".join(wanted.scorers or chosen.search)
    lines = (
        f"{search} pictures to search among {rungs[0].candidates} rewrites, chosen by {by}",
        f"{verdict} pictures for the verdict on {pairs} fresh seeds, judged by {', '.join(judges)}",
        foreseen(pairs, "seed", wanted.worthwhile, 0.05 / (len(judges) * finalists)),
    )
    return Cost(images, _times(each, images), lines)


def _comparing(own: Service, wanted: CompareJob) -> Cost:
    texts = wanted.prompts or (None,)
    n = wanted.n or (SEEDS_PER_PROMPT if len(texts) > 1 else SEEDS)
    each = [_foreseen(own, arm.request).estimate.seconds_per_image for arm in wanted.arms]
    pictures = len(wanted.arms) * n * len(texts)
    known = [seconds for seconds in each if seconds is not None]
    seconds = sum(known) * n * len(texts) if len(known) == len(each) else None
    units = len(texts) if len(texts) > 1 else n
    unit: Unit = "prompt" if len(texts) > 1 else "seed"
    of = f" of {len(texts)} prompts" if len(texts) > 1 else ""
    lines = [f"{len(wanted.arms)} sides, {n} {'seed' if n == 1 else 'seeds'} each{of}"]
    if wanted.judged:
        lines.append(foreseen(units, unit, wanted.worthwhile, wanted.alpha / max(1, len(wanted.arms) - 1)))
    else:
        lines.append("drawn to be looked at: nothing is said of which is better")
    return Cost(pictures, seconds, tuple(lines))


def _foreseen(own: Service, request: Request) -> Plan:
    refuse_paths(request)
    return own.session.foresee(request)[0]


def _times(each: float | None, count: int) -> float | None:
    return None if each is None else each * count


def _fields(form: Form, prefix: str) -> dict[str, object]:
    """What a side says: fields that are not empty."""
    said: dict[str, object] = {}
    for name in ("prompt", *SIDE):
        value = form.one(f"{prefix}{name}").strip()
        if not value:
            continue
        if name == "size":
            from limner.types import parse_size

            said["width"], said["height"] = parse_size(value)
        else:
            said[name] = value
    return said


def _request(form: Form, prefix: str) -> Request:
    return _asked(_fields(form, prefix))


def _asked(fields: Mapping[str, object]) -> Request:
    return Request.of(**{"prompt": "", **fields})


def _lines(text: str) -> list[str]:
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def _checked(kind: Callable[..., J], said: Mapping[str, object]) -> J:
    """Raises ``InvalidRequest`` in the words of the first thing that is wrong."""
    try:
        return kind(**said)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(each) for each in first["loc"])
        raise InvalidRequest(f"{name}: {first['msg']}", field=name, hint="correct it and start again") from error
