"""Replay: draw an image again from its Record and say how near it came, and why not nearer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from limner.image import Image
from limner.library.files import pixel_hash
from limner.models.resolving.families import load
from limner.models.resolving.resolve import pinned
from limner.session.adapting import asked_again
from limner.session.foreign import Restored
from limner.session.ledger import Told
from limner.session.merging import known_to
from limner.types import Adapter, Pixels, Record, Request

Verdict: TypeAlias = Literal["identical", "near", "different"]

NEAR = 8.0  # mean absolute difference in 1/255 up to which two pictures are called near


@dataclass(frozen=True, slots=True)
class Replay:
    """``verdict``: identical (same pixels), near (mean absolute difference up to 8/255), different.

    ``mean`` and ``most`` are absolute differences in 1/255 over all channels; ``None`` where the sizes differ.
    ``reasons`` names every recorded circumstance that is not as it was. ``told`` says of another program's picture
    what became of each of its settings; it is empty for ours.
    """

    verdict: Verdict
    mean: float | None
    most: int | None
    reasons: tuple[str, ...]
    image: Image
    told: tuple[Told, ...] = ()


def request_of(record: Record) -> Request:
    """A Request that asks for the Record's one image again: its words as they were drawn, its seeds, its numerics. To
    be planned ``literal``, with the Record's adapters ``pinned``. Raises ``UnknownName`` for a family that is not
    here."""
    fields: dict[str, object] = {
        "prompt": record.prompt,
        "negative": record.negative or ("" if record.request.negative is not None else None),
        "styles": (),
        "n": 1,
        "seed": record.seed.seed,
        "variation_seed": record.seed.variation_seed,
        "model": pinned(record.model),
    }
    return known_to(record.request.but(**(fields | asked_again(record))), load(record.recipe.family))


def compare(before: Pixels, record: Record, after: Image, *, lossless: bool) -> Replay:
    """The verdict on a file with these pixels and this Record.

    A lossless file is judged by its own pixels: one that was changed since is never called identical. A JPEG or WebP
    cannot be; there the Record's pixel hash speaks for what was drawn, and the reasons say so.
    """
    reasons = differences(record, after.record)
    redrawn = record.pixel_hash == after.record.pixel_hash
    if lossless and pixel_hash(before) not in kept_hashes(record):
        reasons = (*reasons, "the file's pixels were changed since it was made: they are not those of its Record")
    elif redrawn:
        note = () if lossless else ("compared by the Record: this file format does not keep pixels exactly",)
        return Replay("identical", 0.0, 0, (*reasons, *note), after)
    if before.shape != after.pixels.shape:
        return Replay("different", None, None, reasons, after)
    gap = np.abs(before.astype(np.int16) - after.pixels.astype(np.int16))
    mean = float(gap.mean())
    return Replay("near" if mean <= NEAR else "different", round(mean, 3), int(gap.max()), reasons, after)


def kept_hashes(record: Record) -> frozenset[str]:
    """Hashes of the pixels that a lossless file with this Record may hold: as drawn, or with its watermark."""
    marked = () if record.watermark is None else (record.watermark.pixel_hash,)
    return frozenset((record.pixel_hash, *marked))


def compare_foreign(before: Pixels, restored: Restored, after: Image) -> Replay:
    """The verdict on a picture of another program: its pixels against those drawn now."""
    reasons = tuple(f"{told.name}: {told.why}" for told in restored.told if told.fate != "honoured")
    if before.shape != after.pixels.shape:
        return Replay("different", None, None, reasons, after, restored.told)
    gap = np.abs(before.astype(np.int16) - after.pixels.astype(np.int16))
    mean, most = float(gap.mean()), int(gap.max())
    verdict: Verdict = "identical" if most == 0 else "near" if mean <= NEAR else "different"
    return Replay(verdict, round(mean, 3), most, reasons, after, restored.told)


def is_lossless(path: Path) -> bool:
    """Whether a file of ours keeps every pixel as it was drawn."""
    return path.suffix.lower() == ".png"


def differences(then: Record, now: Record) -> tuple[str, ...]:
    """Every circumstance of two Records that may move pixels and is not the same, in plain words."""
    found = []
    if then.model.weights_hash() != now.model.weights_hash():
        found.append(f"the weights of {then.model.name} are not the same files as then")
    if (before := _decided(then.adapters)) != _decided(now.adapters):
        names = ", ".join(each.name for each in {each.hash: each for each in then.adapters}.values()) or "none"
        found.append(f"the adapters are not the same files as then ({names})" if before else "there were no adapters")
    if then.recipe != now.recipe:
        old, new = then.recipe.model_dump(), now.recipe.model_dump()
        found.append("the recipe differs in " + ", ".join(k for k in old if old[k] != new[k]))
    facts: list[tuple[str, object, object]] = [
        ("dtype", then.numerics.dtype, now.numerics.dtype),
        ("device", then.device_name or then.numerics.device, now.device_name or now.numerics.device),
        ("speed class", then.numerics.speed, now.numerics.speed),
        ("batching", then.numerics.batching, now.numerics.batching),
        ("threads", then.threads, now.threads),
        *_versions(then.versions, now.versions),
    ]
    return (*found, *(f"{name}: {old} then, {new} now" for name, old, new in facts if old != new))


def _decided(adapters: tuple[Adapter, ...]) -> list[str]:
    """What of the adapters decides pixels; LoRA add up in any order."""
    return sorted(each.model_dump_json(exclude={"name"}) for each in adapters)


def _versions(then: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, object, object]]:
    return [(name, then.get(name, "unknown"), now.get(name, "unknown")) for name in sorted({*then, *now})]
