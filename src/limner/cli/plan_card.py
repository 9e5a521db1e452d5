"""What a model's card alone says of its cost, where its config files are neither here nor to be had."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.cli.console import out, say
from limner.cli.plan_sheet import disk, disk_free
from limner.cli.sheet import Fact, sheet, size
from limner.models.hub.cache import cache_folder
from limner.models.machine import Chosen, choose_device, choose_dtype, probe, usable_memory
from limner.types import Request

if TYPE_CHECKING:
    from limner.errors import LimnerError
    from limner.models.state import State
    from limner.session import Session


@dataclass(frozen=True, slots=True)
class ByCard:
    """The card's figures on this machine, and where drawing would run."""

    state: State
    device: str
    chosen: Chosen


def by_card(session: Session, request: Request) -> ByCard | None:
    """``None`` where the request's model has no card. Raises ``DeviceError``."""
    from limner.models.state import state

    name = request.model or str(session.settings.value("model").value or "pocket")
    card = session.catalog.find(name.partition("@")[0])
    if card is None:
        return None
    device = choose_device(request.device, probe())
    return ByCard(state(card, probe(), request), device, choose_dtype(request.dtype, device, probe()))


def tell(found: ByCard, error: LimnerError) -> None:
    """Print it, and why there is no more."""
    card = found.state.card
    out(f"{card.name}: by its card alone")
    sheet(_facts(found))
    say(f"its config files are not here: {error.message}", warn=True)
    if error.hint:
        say(f"  {error.hint}", dim=True)


def as_json(found: ByCard, error: LimnerError) -> dict[str, object]:
    state = found.state
    return {
        "plans": [],
        "by_card": {
            "model": state.card.name,
            "download_bytes": state.fetch,
            "disk_free_bytes": disk_free(),
            "peak_bytes": state.memory,
            "memory_usable_bytes": usable_memory(found.device, probe()),
            "device": found.device,
            "dtype": found.chosen.dtype,
            "fits": None if state.fit is None else state.fit.ok,
        },
        "warnings": [{"code": error.code, "message": error.message}],
    }


def _facts(found: ByCard) -> Iterator[Fact]:
    state = found.state
    fetch = "not known" if state.fetch is None else f"about {size(state.fetch)} to fetch"
    yield "download", fetch if state.fetch != 0 else "nothing to fetch"
    if state.fetch:
        yield "disk", disk(state.fetch, disk_free(), cache_folder())
    yield "memory", f"about {size(state.memory)}" if state.memory else "not known"
    if state.fit is not None:
        yield "fits", f"{'yes' if state.fit.ok else 'NO'}: {state.fit.reason.partition(': ')[2]}"
    yield "device", f"{found.device}, {found.chosen.dtype}: {found.chosen.reason}"
    yield "time", "not known"
