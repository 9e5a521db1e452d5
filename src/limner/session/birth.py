"""The birth Record of a picture: what was planned, and what the machine that drew it knows."""

from __future__ import annotations

from limner.library.files import pixel_hash
from limner.types import Drawn, Notice, Plan, Protection, Record, now


def birth(plan: Plan, drawn: Drawn, checks: tuple[Notice, ...] = (), protection: Protection | None = None) -> Record:
    """The Record of a picture just drawn; ``drawn.pixels`` are those that are kept."""
    protection = protection or Protection()
    k = drawn.index - plan.first
    facts = drawn.facts
    return Record(
        request=plan.request,
        prompt=plan.prompt,
        negative=plan.negative,
        identity=plan.identity,
        image_key=plan.image_key(k),
        index=drawn.index,
        seed=plan.seeds[k],
        model=plan.model,
        numerics=plan.numerics,
        recipe=plan.recipe,
        adapters=plan.adapters,
        device_name=facts.device_name,
        threads=facts.threads,
        timings=facts.timings,
        peak_bytes=facts.peak_bytes,
        estimate=plan.estimate,
        versions=facts.versions,
        notices=(*plan.notices, *facts.notices),
        checks=(*plan.checks, *checks),
        level=protection.level,
        marks=protection.marks,
        metadata=protection.metadata,
        parent=plan.parent,
        pixel_hash=pixel_hash(drawn.pixels),
        created=now(),
    )
