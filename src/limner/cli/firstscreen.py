"""The honest first screen: what the built-in model is, and how to get photographs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from limner.models.machine import Machine, choose_device, choose_dtype, fits, gigabytes
from limner.models.state import memory_needed

if TYPE_CHECKING:
    from limner.models.catalog import Card, Catalog

SUGGESTED = "sd15"  # the smallest real model of the catalog


def first_time(data: Path) -> bool:
    """True once for each data folder, which remembers it; where it cannot, the screen is shown again."""
    mark = data / "welcomed"
    if mark.exists():
        return False
    with suppress(OSError):
        data.mkdir(parents=True, exist_ok=True)
        mark.touch()
    return True


def first_screen(catalog: Catalog, machine: Machine) -> str:
    """What a newcomer should know before the first picture; lines of plain text."""
    return "\n".join(_lines(catalog, machine))


def _lines(catalog: Catalog, machine: Machine) -> Iterator[str]:
    pocket, real = catalog.find("pocket"), catalog.find(SUGGESTED)
    if pocket is not None:
        yield f"Welcome. This draws with `{pocket.name}`, the model inside Limner: {pocket.blurb}."
    if real is not None:
        yield f"For photographs and art use a real model: limner PROMPT -m {real.name}"
        yield f"  {real.title}: {_size(real)}; {_fit(real, machine)}"
        yield "  limner models list --fits shows all. This note is shown once."


def _size(card: Card) -> str:
    return "size not known" if card.size_bytes is None else f"{gigabytes(card.size_bytes)} to download, once"


def _fit(card: Card, machine: Machine) -> str:
    device = choose_device(None, machine)
    needed = memory_needed(card, choose_dtype(None, device, machine).dtype)
    if needed is None:
        return "whether it fits this machine is not known"
    fit = fits(needed, device, machine)
    slow = "; minutes a picture without a GPU" if fit.ok and device == "cpu" else ""
    return f"on this machine ({device}) it {fit.reason}{slow}"
