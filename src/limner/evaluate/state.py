"""What stands between a scorer and a score here: weights to fetch, memory. Asks no network, loads no weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from limner import registry
from limner.config import Settings
from limner.errors import ConfigError, LimnerError
from limner.evaluate.defaults import T4_BYTES
from limner.evaluate.metric import Metric, MetricCard
from limner.models.machine import HEADROOM, choose_device, fits, probe
from limner.models.packages import Package, to_fetch


@dataclass(frozen=True, slots=True)
class State:
    """A registered scorer on this machine. Bytes. ``missing`` is the command that makes it ready; ``fetch`` what that
    brings, about. ``fits`` and ``t4`` are ``None`` where the card does not say what memory it takes."""

    name: str
    card: MetricCard
    missing: str | None
    fetch: int
    fits: bool | None
    t4: bool | None


def made(name: str) -> Metric:
    """A scorer by its registered name. Raises ``UnknownName``, ``ConfigError``."""
    found = registry.load("metrics", name)
    metric = found() if callable(found) else found
    if not isinstance(getattr(metric, "card", None), MetricCard):
        raise ConfigError(f"{name!r} is no metric", hint="it needs a MetricCard, as its class's card")
    return cast(Metric, metric)


def package(name: str) -> Package | None:
    """What a scorer fetches, if it does. Raises ``UnknownName``."""
    found = getattr(registry.load("metrics", name), "package", None)
    return found if isinstance(found, Package) else None


def state(name: str) -> State:
    """Look at one. Raises ``UnknownName``, ``ConfigError``."""
    metric = made(name)
    card, machine = metric.card, probe()
    missing = metric.missing()
    needed = card.memory_bytes
    files = package(name)
    lacking = () if files is None else to_fetch(files, Settings.load())
    own = any(file.repo == card.repo and file.saved.endswith(".safetensors") for file in lacking)
    return State(
        name,
        card,
        missing,
        (card.size_bytes or 0) if missing is not None and (own or files is None) else 0,
        None if needed is None else fits(needed, choose_device(None, machine), machine).ok,
        None if needed is None else needed <= HEADROOM * T4_BYTES,
    )


def states(trouble: Callable[[str], None] = lambda text: None) -> list[State]:
    """All that are registered; one of another package that cannot be imported is said to ``trouble``, and left out."""
    found = []
    for name in registry.names("metrics"):
        try:
            found.append(state(name))
        except (LimnerError, ImportError) as error:
            trouble(f"{name} cannot be used: {error}")
    return found
