"""What stands between a catalog card and a picture here: bytes to fetch, memory needed. Asks no network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from limner.errors import LimnerError
from limner.models.catalog import Card
from limner.models.dalle import files as dalle_files
from limner.models.hub.cache import held
from limner.models.machine import Fit, Machine, choose_device, choose_dtype, fits
from limner.models.resolving.folder import own_kind
from limner.models.resolving.resolved import in_folder
from limner.types import Dtype, Request

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# The autoencoder's last layers decide the peak: some hundreds of channels at full size, a few of them at once.
ACTIVATIONS_PER_PIXEL = 4096  # bytes in float32; an estimate, to be replaced by what plans measure
RUNTIME = 300_000_000  # bytes of Python and torch themselves: a picture by the 62 MB pocket peaks at 439 MB


@dataclass(frozen=True, slots=True)
class State:
    """A card on this machine. Bytes. ``here``: its files are on this machine; ``fetch`` is 0 then, ``None`` not known.

    ``memory`` is what drawing one picture takes, about; ``fit`` is ``None`` where that is not known.
    """

    card: Card
    here: bool
    fetch: int | None
    memory: int | None
    fit: Fit | None


def state(card: Card, machine: Machine, asked: Request | None = None) -> State:
    """Look at the package, the folder or the hub's cache, and at the machine. ``asked`` says the picture's size, the
    device and the dtype; what it leaves open is the card's and the machine's. Raises ``DeviceError``."""
    here = is_here(card)
    asked = asked or Request(prompt="a picture")
    device = choose_device(asked.device, machine)
    memory = memory_needed(card, choose_dtype(asked.dtype, device, machine).dtype, asked.width, asked.height)
    fit = None if memory is None else fits(memory, device, machine)
    return State(card, here, 0 if here else _to_fetch(card), memory, fit)


def memory_needed(card: Card, dtype: Dtype, width: int | None = None, height: int | None = None) -> int | None:
    """Bytes to draw one picture of ``width`` x ``height`` pixels (``None``: the native ones): the card's figure with
    what other pixels add or spare, else weights and activations at ``dtype``.

    Where a card does not count its parameters, its files are taken for float32.
    """
    native = (card.width or 512) * (card.height or 512)
    pixels = (width or card.width or 512) * (height or card.height or 512)
    if card.memory_bytes is not None:
        more = ACTIVATIONS_PER_PIXEL * (pixels - native) * BYTES[dtype] // BYTES["float32"]
        return max(card.memory_bytes + more, RUNTIME)
    if card.parameters is None and card.size_bytes is None:
        return None
    full = card.parameters * BYTES["float32"] if card.parameters is not None else card.size_bytes or 0
    return RUNTIME + (full + ACTIVATIONS_PER_PIXEL * pixels) * BYTES[dtype] // BYTES["float32"]


def is_here(card: Card) -> bool:
    """Whether every file that drawing needs is on this machine."""
    found = files_here(card)
    if not card.worn().keys() <= found.keys():
        return False
    if card.folder is not None and Path(card.folder).is_file():
        return True
    if card.companion is not None:
        return dalle_files.are_here(found, card.companion)
    try:
        if own_kind(found, card.name) is None:
            in_folder(found, card.name, card.variant)
    except LimnerError:
        return False
    return True


def files_here(card: Card) -> dict[str, Path]:
    """Files of a model that are on this machine, by their names in it."""
    if card.repo is not None:
        there = held(card.repo, card.commit)
        return {} if there is None else dict(there.files())
    folder = card.asset_path() if card.built_in else Path(card.folder or "")
    if folder.is_file():
        return {folder.name: folder}
    paths = (path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else ()
    worn = {name: path for name, path in card.worn().items() if path.is_file()}
    return {path.relative_to(folder).as_posix(): path for path in paths} | worn


def _to_fetch(card: Card) -> int | None:
    """Bytes still to come, about: a download that was cut has left some of them here."""
    if card.repo is None or card.size_bytes is None:
        return None
    held = sum(
        path.stat().st_size for name, path in files_here(card).items() if name.endswith((".safetensors", ".msgpack"))
    )
    return max(card.size_bytes - held, 0)
