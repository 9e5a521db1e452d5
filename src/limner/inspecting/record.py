"""A Record as facts for people, and whether it agrees with itself."""

from __future__ import annotations

from collections.abc import Iterator

from limner.inspecting.facts import Fact, duration, seconds, size, when
from limner.types import Adapter, Plan, Record

_SHOWN_VERSIONS = ("limner", "torch", "python")


def words(record: Record) -> Iterator[Fact]:
    """What was asked: prompt as drawn, as written where that differs, and the rest of the words."""
    yield "prompt", record.prompt
    if record.request.prompt != record.prompt:
        yield "as written", record.request.prompt
    yield "negative", record.negative
    yield "styles", ", ".join(record.request.styles)
    yield "morphed to", record.request.morph_to and f"{record.request.morph_to} (share {record.request.morph:g})"


def making(record: Record) -> Iterator[Fact]:
    """How it was drawn."""
    recipe, numerics = record.recipe, record.numerics
    yield "model", _model(record)
    yield "seed", record.seed.text() + _variation(record)
    yield "size", _size(record)
    yield "steps", max(len(recipe.levels) - 1, 0) or record.request.steps
    yield from _edited(record)
    yield "adapters", "\n".join(_adapter(each) for each in record.adapters)
    yield "guidance", f"{recipe.guidance:g}"
    yield "solver", _solver(record)
    yield "numbers", f"{numerics.dtype}, speed class {numerics.speed}, batching {numerics.batching}"
    yield "device", _device(record)
    yield "time", ", ".join(f"{name} {seconds:.2f} s" for name, seconds in record.timings.items())
    yield "peak memory", size(record.peak_bytes)
    yield "versions", _versions(record)


def compared(record: Record) -> Iterator[Fact]:
    """What was planned beside what it took. Time is without loading, as plans give it."""
    estimate, timings = record.estimate, record.timings
    if estimate.seconds_per_image is not None and "total" in timings:
        took = timings["total"] - timings.get("load", 0.0)
        planned = seconds(estimate.seconds_low, estimate.seconds_per_image, estimate.seconds_high)
        yield "time", f"planned {planned}, took {duration(took)}{_off(took, estimate.seconds_per_image)}"
    if estimate.peak_bytes is not None and record.peak_bytes is not None:
        off = _off(record.peak_bytes, estimate.peak_bytes)
        yield "peak memory", f"planned {size(estimate.peak_bytes)}, took {size(record.peak_bytes)}{off}"
    if estimate.peak_bytes is not None:
        yield "left memory in turn", ", ".join(estimate.offload)


def _off(actual: float, planned: float) -> str:
    return f" ({actual / planned:.2f} times that)" if planned > 0 else ""


def birth(record: Record) -> Iterator[Fact]:
    """When it was made, what was said then, and its hashes."""
    yield "made", when(record.created, seconds=True)
    yield "marks", record.marks
    yield "warnings", "\n".join(notice.message for notice in record.notices)
    yield "checks", "\n".join(notice.message for notice in record.checks)
    yield "made from", record.parent
    yield "identity", record.identity
    yield "image key", record.image_key
    yield "pixels", record.pixel_hash


def consistent(record: Record) -> bool:
    """Whether the hashes in a Record are those of its own contents: an edited Record's are not."""
    plan = Plan.model_construct(
        model=record.model,
        numerics=record.numerics,
        recipe=record.recipe,
        adapters=record.adapters,
        seeds=(record.seed,),
    )
    return plan.identity == record.identity and plan.image_key(0) == record.image_key


def _adapter(adapter: Adapter) -> str:
    """Kind, name, strength and the hash's beginning."""
    scale = f" at {adapter.scale:g}" if adapter.kind == "lora" else ""
    text = "" if adapter.text_scale is None else f" (text {adapter.text_scale:g})"
    return f"{adapter.kind} {adapter.name}{scale}{text}, {adapter.hash.partition(':')[2][:10]}"


def _model(record: Record) -> str:
    model = record.model
    where = f", {model.repo}" if model.repo else ""
    commit = f" at {model.commit[:12]}" if model.commit else ""
    return f"{model.name} (family {model.family}{where}{commit})"


def _size(record: Record) -> str:
    recipe = record.recipe
    drawn, finished = (recipe.width, recipe.height), recipe.finished
    return f"{finished[0]}x{finished[1]}" + ("" if drawn == finished else f" (drawn at {drawn[0]}x{drawn[1]})")


def _edited(record: Record) -> Iterator[Fact]:
    """What it was drawn over, and how it was enlarged."""
    asked, recipe = record.request, record.recipe
    begin = int(recipe.options.get("begin", 0))
    if asked.init is not None:
        yield "start picture", asked.init
    if asked.init is not None and asked.strength is not None:
        yield "strength", f"{asked.strength:g} ({_steps(len(recipe.levels) - 1 - begin)} run)"
    if asked.mask is not None:
        yield "mask", asked.mask + (", inverted" if asked.mask_invert else "") + f", edge {asked.mask_blur:g} pixels"
        yield "masked part", f"starts from {asked.inpaint_fill}"
        if "region" in recipe.options:
            yield "part drawn", f"{recipe.options['region']} (left, top, right, bottom)"
    if recipe.second is not None:
        second = recipe.second
        run = len(second.levels) - 1 - second.begin
        how = f"{second.width}x{second.height}, strength {asked.hires_strength:g} ({_steps(run)} run)"
        yield "second pass", f"{how}, enlarged by {asked.hires_upscaler}"
    yield "enlarged by", asked.upscale


def _steps(n: int) -> str:
    return f"{n} step{'s' * (n != 1)}"


def _variation(record: Record) -> str:
    share = record.request.variation
    return f" (share of the second noise: {share:g})" if share else ""


def _solver(record: Record) -> str | None:
    schedule = record.request.schedule
    karras = f", {schedule} noise levels" if schedule and schedule != "model" else ""
    return record.recipe.solver and record.recipe.solver + karras


def _device(record: Record) -> str:
    name = record.device_name if record.device_name != record.numerics.device else ""
    threads = f"{record.threads} thread{'s' * (record.threads > 1)}" if record.threads else ""
    return ", ".join(part for part in (record.numerics.device, name, threads) if part)


def _versions(record: Record) -> str:
    first = [name for name in _SHOWN_VERSIONS if name in record.versions]
    names = [*first, *sorted(record.versions.keys() - set(first))]
    return ", ".join(f"{name} {record.versions[name]}" for name in names)
