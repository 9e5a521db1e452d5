"""What a Plan costs, in words and as JSON."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from limner.cli.console import out, say, table
from limner.cli.sheet import Fact, duration, seconds, sheet, size
from limner.models.estimates.estimate import runtime_bytes
from limner.models.estimates.offers import Offer, offers
from limner.models.hub.cache import cache_folder
from limner.models.hub.repo import SPARE_BYTES
from limner.models.machine import Fit, fits, probe, usable_memory
from limner.types import Plan

_DEFAULTED = ("width", "height", "steps", "guidance", "solver", "schedule")


def tell(plan: Plan, *, pictures: int) -> None:
    """Print a Plan's cost; warnings go to stderr."""
    recipe, request = plan.recipe, plan.request
    steps = f", {request.steps} steps" if request.steps else ""
    count = "1 picture" if pictures == 1 else f"{pictures} pictures"
    out(f"{plan.model.name}: {count} of {recipe.width}x{recipe.height}{steps}")
    sheet(_facts(plan, pictures))
    if plan.estimate.parts:
        out("\nmemory by part")
        table(("part", "weights", "at work", "calls"), _parts(plan))
    sheet([(offer.option, size(offer.peak_bytes)) for offer in _offers(plan)], heading="what would fit")
    sheet(_origins(plan), heading="where values come from")
    for notice in plan.notices:
        say(f"warning: {notice.message}", warn=True)


def as_json(plan: Plan) -> dict[str, object]:
    """A Plan's cost with the machine's side of it: JSON-ready."""
    needed = plan.estimate.peak_bytes
    fit = fit_of(plan)
    return {
        "model": plan.model.model_dump(mode="json"),
        "request": plan.request.model_dump(mode="json"),
        "identity": plan.identity,
        "width": plan.recipe.width,
        "height": plan.recipe.height,
        "device": plan.device,
        "dtype": plan.numerics.dtype,
        "estimate": plan.estimate.model_dump(mode="json"),
        "seeds": [seed.text() for seed in plan.seeds],
        "disk_needed_bytes": plan.estimate.download_bytes,
        "disk_free_bytes": disk_free(),
        "memory_usable_bytes": usable_memory(plan.device, probe()),
        "fits": None if needed is None or fit is None else fit.ok,
        "offers": [{"option": o.option, "peak_bytes": o.peak_bytes, "fits": o.fits} for o in _offers(plan)],
        "origins": dict(plan.origins),
        "warnings": [notice.model_dump() for notice in plan.notices],
    }


def fit_of(plan: Plan) -> Fit | None:
    """Whether the plan's peak fits; where only weights are known, whether at least those do."""
    needed = plan.estimate.peak_bytes or plan.estimate.weights_bytes
    return None if needed is None else fits(needed, plan.device, probe())


def disk_free() -> int:
    """Bytes free where downloads go."""
    folder = cache_folder().absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return shutil.disk_usage(there).free


def disk(to_fetch: int, free: int, folder: Path) -> str:
    """Whether a download fits on the disk, in words."""
    verdict = "" if free >= to_fetch + SPARE_BYTES else ": NOT ENOUGH"
    return f"{size(to_fetch)} needed, {size(free)} free in {folder}{verdict}"


def _facts(plan: Plan, pictures: int) -> Iterator[Fact]:
    estimate, fit = plan.estimate, fit_of(plan)
    yield "download", f"{size(estimate.download_bytes)} to fetch" if estimate.download_bytes else "nothing to fetch"
    if estimate.download_bytes:
        yield "disk", disk(estimate.download_bytes, disk_free(), cache_folder())
    if estimate.peak_bytes is not None:
        yield "memory", f"{size(estimate.peak_bytes)} at its peak, estimated"
    elif estimate.weights_bytes:
        yield "memory", f"{size(estimate.weights_bytes)} for weights; what it works with is not known"
    else:
        yield "memory", "not known"
    if fit is not None:
        yield "fits", _fit(fit, known=estimate.peak_bytes is not None)
    yield "offload", _offload(plan)
    why = plan.origins.get("dtype", "")
    yield "device", f"{plan.device}, {plan.numerics.dtype}: {'as you said' if why == 'request' else why}"
    one = seconds(estimate.seconds_low, estimate.seconds_per_image, estimate.seconds_high)
    yield "time", f"{one} a picture, without loading" if estimate.seconds_per_image is not None else one
    if pictures > 1 and estimate.seconds_per_image is not None:
        yield "all pictures", f"about {duration(estimate.seconds_per_image * pictures)}"
    yield "time goes by", estimate.basis


def _fit(fit: Fit, *, known: bool) -> str:
    said = fit.reason.removeprefix("fits: ").removeprefix("does not fit: ")
    if not fit.ok:
        return f"NO: {said}"
    return f"yes: {said}" if known else f"the weights do: {said}"


def _offload(plan: Plan) -> str:
    leaving = plan.estimate.offload
    if not leaving:
        return "none: all parts stay in memory" if plan.estimate.peak_bytes is not None else ""
    return f"automatic, the picture stays the same: {', '.join(leaving)} leave{'' if len(leaving) > 1 else 's'} in turn"


def _parts(plan: Plan) -> Iterator[Sequence[object]]:
    for part in plan.estimate.parts:
        work = "not known" if part.work_bytes is None else size(part.work_bytes)
        yield part.name, size(part.weights_bytes), work, part.calls or ""
    if plan.estimate.peak_bytes is not None and (runtime := runtime_bytes(plan.device, plan.estimate.parts)):
        yield "Python and torch", "", size(runtime), ""


def _offers(plan: Plan) -> tuple[Offer, ...]:
    fit = fit_of(plan)
    if fit is None or fit.ok:
        return ()
    return tuple(offer for offer in offers(plan, probe()) if offer.fits)


def _origins(plan: Plan) -> Iterator[Fact]:
    groups: dict[str, list[str]] = {}
    for name, origin in sorted(plan.origins.items()):
        if name != "dtype":
            groups.setdefault(origin, []).append(name)
    left = [name for name in _DEFAULTED if name not in plan.origins and getattr(plan.request, name) is not None]
    named = {"request": "what you said", "card": "the model's card"}
    for origin, names in groups.items():
        yield named.get(origin, origin), ", ".join(names)
    yield "the model's own default", ", ".join(left)
    counted = [part.name for part in plan.estimate.parts if part.flops is not None]
    if counted:
        yield "its config files", f"memory and operations of {', '.join(counted)}"
