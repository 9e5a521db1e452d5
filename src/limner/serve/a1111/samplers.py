"""Samplers by the web UI's names, old ones with a schedule in them too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from limner.errors import UnknownName
from limner.sampling import catalog
from limner.sampling.compat import SCHEDULES, schedule_of
from limner.serve.a1111.wording import SamplerNotFound

AUTOMATIC = "Automatic"


class Sampler(NamedTuple):
    """A sampler, and the schedule that its name says (empty: none)."""

    name: str
    schedule: str = ""

    @property
    def solver(self) -> str:
        return catalog.find(self.name).name


def sampler(text: str) -> Sampler:
    """The sampler called ``text``: "DPM++ 2M", or "DPM++ 2M Karras". Raises ``SamplerNotFound``."""
    for label in SCHEDULES.values():
        bare = text[: -len(label)].rstrip()
        if text.lower().endswith(f" {label.lower()}") and _known(bare):
            return Sampler(bare, label)
    try:
        catalog.find(text)
    except UnknownName as error:
        raise SamplerNotFound(f"Sampler not found: {text[:80]!r}", field="sampler_name", hint=error.hint) from None
    return Sampler(text)


def unheeded(found: Sampler, scheduler: str | None) -> Iterator[tuple[str, str]]:
    """What of a schedule that was asked for has no effect, and why."""
    asked = schedule_of(scheduler or "")
    if scheduler is None or scheduler.lower() == AUTOMATIC.lower():
        return
    what = f"scheduler {scheduler[:60]!r}"
    card = catalog.find(found.name)
    if card.placement == "ddim" and asked != "model":
        yield what, f"{card.title} places its own steps"
    elif found.schedule and asked != schedule_of(found.schedule):
        yield what, f"the sampler's name says {found.schedule}"
    elif card.karras and asked != "karras":
        yield what, "the sampler's name says Karras"


def _known(name: str) -> bool:
    try:
        catalog.find(name)
    except UnknownName:
        return False
    return True
