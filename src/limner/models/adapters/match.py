"""Which layers of a checkpoint a LoRA file fits: everything placed is reported, and so is everything that is not.
Torch-free."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from limner.errors import MismatchedWeights
from limner.models.adapters.lora_base import base_of
from limner.models.adapters.lora_file import Layer, LoraFile
from limner.models.adapters.targets import Shape, Targets, flat_names

SHOWN = 3
ENDS = frozenset({"conv_in", "conv_out"})
"""Layers whose width is not the family's: an inpainting network takes nine channels where its base takes four."""


@dataclass(frozen=True, slots=True)
class Match:
    """``placed``: part to the checkpoint's layer to the change. ``matched`` counts keys of the file."""

    placed: Mapping[str, Mapping[str, Layer]]
    matched: int
    unmatched: tuple[str, ...]

    def report(self, name: str) -> str | None:
        """What to tell the user of keys that do nothing; ``None`` where there are none."""
        if not self.unmatched:
            return None
        count, total = len(self.unmatched), self.matched + len(self.unmatched)
        return f"LoRA {name!r}: {count} of {total} keys fit nothing here and do nothing: {_some(self.unmatched)}"


def match(lora: LoraFile, targets: Targets, name: str, model: str) -> Match:
    """Place every change. ``name`` and ``model`` are for messages.

    Raises ``MismatchedWeights`` where nothing fits, or where a layer of that name has another shape: the file is for
    another model.
    """
    index = {part: flat_names(part, layers) for part, layers in targets.items()}
    placed: dict[str, dict[str, Layer]] = defaultdict(dict)
    unmatched: list[str] = list(lora.unknown)
    misfits: list[str] = []
    for layer in lora.layers:
        found = _find(layer, index)
        if found is None or found[1] in placed[found[0]]:
            unmatched.extend(layer.keys.values())
        elif fits(layer, targets[found[0]][found[1]]):
            placed[found[0]][found[1]] = layer
        elif found[1] in ENDS:
            unmatched.extend(layer.keys.values())
        else:
            misfits.append(_misfit(layer, found, targets[found[0]][found[1]]))
    placed = {part: layers for part, layers in placed.items() if layers}
    if misfits or not placed:
        raise _refusal(lora, name, model, misfits, unmatched)
    count = sum(len(layer.keys) for layers in placed.values() for layer in layers.values())
    return Match(placed, count, tuple(unmatched))


def _find(layer: Layer, index: Mapping[str, Mapping[str, str]]) -> tuple[str, str] | None:
    parts = index if layer.part is None else (layer.part,)
    for part in parts:
        if found := index.get(part, {}).get(layer.name):
            return part, found
    return None


def fits(layer: Layer, shape: Shape) -> bool:
    """Whether the change has the shape of a weight ``[out, in]`` or ``[out, in, h, w]``."""
    if layer.outputs != shape[0] or layer.inputs != math.prod(shape[1:]):
        return False
    kernel = layer.shapes.get("mid", layer.shapes.get("down", ()))[2:]
    return layer.form != "lora" or math.prod(shape[2:]) == 1 or tuple(kernel) == tuple(shape[2:])


def _misfit(layer: Layer, found: tuple[str, str], shape: Shape) -> str:
    return f"{found[0]}.{found[1]} is {shape[0]}x{math.prod(shape[1:])} and not {layer.outputs}x{layer.inputs}"


def _refusal(lora: LoraFile, name: str, model: str, misfits: list[str], unmatched: list[str]) -> MismatchedWeights:
    base = base_of(lora)
    made_for = f"it is for {base}" if base else "what it is for is not said in the file"
    why = (
        f"{len(misfits)} of its layers have another shape: {_some(misfits)}"
        if misfits
        else (f"none of its {len(lora.layers)} layers is there, such as {_some(unmatched[:1])}")
    )
    return MismatchedWeights(
        f"LoRA {name!r} does not fit {model}: {made_for}; {why}",
        hint=f"use it with {base}, or a LoRA made for {model}" if base else f"use a LoRA made for {model}",
    )


def _some(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(each[:120] for each in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
