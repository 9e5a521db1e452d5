"""What a Plan will cost in time, by what this machine and this library have seen; and learning from what was drawn."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace

from limner.config import Settings
from limner.library.entries import Query
from limner.library.store import Library
from limner.models.estimates.estimate import of_files
from limner.models.estimates.files import Outline, outline
from limner.models.estimates.time import Place, Rates, timed
from limner.models.machine import Machine
from limner.models.resolving.resolve import Resolved
from limner.session.planning import Means, plans
from limner.types import Estimate, Plan, Record, Request

LOOKED_AT = 40  # newest pictures of the model
AGREEING = 5  # of them, at most, go into an estimate
LEAST_SPREAD = 1.1
ALONE_SPREAD = 1.25  # one picture says nothing of how much they differ


def rates_of(settings: Settings) -> Rates:
    """The machine's remembered speeds."""
    return Rates(settings.cache_root / "speeds.json")


def estimated(plan: Plan, settings: Settings, machine: Machine, library: Library | None) -> Plan:
    """The Plan with seconds in its estimate: by earlier pictures of the same model, size and numerics in the library,
    else by speeds seen here, else by a table."""
    estimate = timed(plan.estimate, plan.device, plan.numerics.dtype, machine, rates_of(settings))
    if library is not None and estimate.parts:
        query = Query(model=plan.model.name, limit=LOOKED_AT)
        records = (entry.record for entry in library.list(query) if entry.record is not None)
        estimate = by_records(estimate, plan, records)
    return plan.model_copy(update={"estimate": estimate})


def with_memory(plan: Plan, more: int) -> Plan:
    """The Plan whose peak has room for ``more`` bytes of what looks at its pictures."""
    peak = plan.estimate.peak_bytes
    if not more or peak is None:
        return plan
    return plan.model_copy(update={"estimate": plan.estimate.model_copy(update={"peak_bytes": peak + more})})


def foreseen(request: Request, means: Means) -> tuple[Plan, ...]:
    """Plans of a model whose weights may still be on the hub. Raises what ``plans`` does."""
    outlines: list[Outline] = []

    def resolver(name: str) -> Resolved:
        outlines.append(outline(name, means.settings, means.catalog, offline=means.offline))
        return outlines[-1].resolved

    made = plans(request, replace(means, resolver=resolver, found={}))
    return tuple(_with_files(plan, outlines[-1], means.machine) for plan in made)


def _with_files(plan: Plan, known: Outline, machine: Machine) -> Plan:
    """Where a family cannot count its networks, the files' sizes say how large they are."""
    estimate = plan.estimate
    if known.to_fetch and all(part.work_bytes is None for part in estimate.parts):
        sizes: dict[str, int] = {}
        for name, size in known.sizes.items():
            part = name.rpartition("/")[0] or plan.recipe.family
            sizes[part] = sizes.get(part, 0) + size
        estimate = of_files(sizes, plan.request, machine)
    return plan.model_copy(update={"estimate": estimate.model_copy(update={"download_bytes": known.to_fetch})})


def by_records(estimate: Estimate, plan: Plan, records: Iterable[Record]) -> Estimate:
    """Seconds scaled from what each part took in Records of like pictures, by the number of its calls."""
    seen = [found for record in records if _alike(record, plan) and (found := _scaled(record, estimate))][:AGREEING]
    if not seen:
        return estimate
    seconds = statistics.median(seen)
    spread = max(max(seen) / seconds, seconds / min(seen), LEAST_SPREAD if len(seen) > 1 else ALONE_SPREAD)
    pictures = "1 earlier picture" if len(seen) == 1 else f"{len(seen)} earlier pictures"
    return estimate.model_copy(
        update={
            "seconds_per_image": seconds,
            "seconds_low": seconds / spread,
            "seconds_high": seconds * spread,
            "basis": f"{pictures} of this model and size in your library",
        }
    )


def learn(record: Record, settings: Settings, machine: Machine) -> None:
    """Remember how fast the parts ran for a picture. Calls for several pictures tell nothing of one picture's share."""
    together = record.model.family == "dalle-mini" and record.request.n > 1
    if record.numerics.batching == "alone" and record.estimate.parts and not together:
        place = Place.of(record.request.device or record.numerics.device, record.numerics.dtype, machine)
        rates_of(settings).learn(place, record.estimate.parts, record.timings)


def _alike(record: Record, plan: Plan) -> bool:
    ours, theirs = plan.recipe, record.recipe
    return (
        record.numerics == plan.numerics
        and record.request.device == plan.request.device
        and (theirs.width, theirs.height) == (ours.width, ours.height)
        and len(theirs.prompts) == len(ours.prompts)
        and record.model.weights_hash() == plan.model.weights_hash()
        and record.adapters == plan.adapters
    )


def _scaled(record: Record, estimate: Estimate) -> float | None:
    """Seconds for the estimate's calls at the Record's pace; ``None`` where the Record lacks a part that matters."""
    then = {each.name: each for each in record.estimate.parts}
    total = 0.0
    for part in estimate.parts:
        before, seconds = then.get(part.name), record.timings.get(part.name)
        if seconds is None or before is None or not before.calls:
            if _matters(part.flops, [each.flops for each in estimate.parts]):
                return None
            continue  # a text that was encoded before
        total += seconds / before.calls * part.calls
    return total or None


def _matters(flops: float | None, of: Sequence[float | None]) -> bool:
    return flops is None or flops > 0.1 * sum(each or 0.0 for each in of)
