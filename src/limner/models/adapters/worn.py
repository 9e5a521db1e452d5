"""What of a Plan's adapters each part of a checkpoint wears: names for its ``Weights``, scales for its rows.
Torch-free.

A name is the adapter's kind and the hash of its file. Networks are shared by name, so requests that wear the same LoRA
at different scales share calls; the scale belongs to the row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from limner.errors import ModelNotFound
from limner.models.adapters.lora_file import read_lora
from limner.models.adapters.match import match
from limner.models.adapters.targets import targets_of
from limner.models.catalog import OWN_LORA
from limner.models.family import Files
from limner.types import Adapter

LORA, EMBEDDING, VAE = "lora", "embedding", "vae"
OWN = f"{LORA}:own"
"""The LoRA that is one of the checkpoint's own files: its hash is in the checkpoint's, so here it needs none."""
SCALES = "adapter_scales"
"""The input of a row that holds its scales, one for each LoRA; the runner gives it to the side paths."""


@dataclass(frozen=True, slots=True)
class Worn:
    """``names`` for ``Weights.adapters``; ``scales``, one for each LoRA, which come first."""

    names: tuple[str, ...] = ()
    scales: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Wardrobe:
    """What each part wears; a part that no adapter touches wears nothing, and is shared with plain requests."""

    parts: Mapping[str, Worn] = field(default_factory=dict)

    def of(self, part: str) -> Worn:
        return self.parts.get(part, Worn())


def wardrobe(adapters: Sequence[Adapter], files: Files) -> Wardrobe:
    """Who wears which of ``adapters``, and the checkpoint's own LoRA where it has one. Raises ``ModelError`` where a
    file is missing or does not fit."""
    own = OWN_LORA in files.paths
    if not adapters and not own:
        return Wardrobe()
    touched = {name_of(each): _touched(name_of(each), each.name, files) for each in adapters if each.kind == LORA}
    if own:
        touched[OWN] = _touched(OWN, files.paths[OWN_LORA].parent.name, files)
    parts = {part: _worn(part, adapters, touched) for part in targets_of(files)}
    vae = next((each for each in adapters if each.kind == VAE), None)
    if vae is not None:
        parts["vae"] = Worn((name_of(vae),))
    return Wardrobe({part: worn for part, worn in parts.items() if worn.names})


def name_of(adapter: Adapter) -> str:
    return f"{adapter.kind}:{adapter.hash}"


def in_place_of(part: str, adapters: Sequence[Adapter]) -> tuple[str, ...]:
    """The name of the adapter that stands for a whole part: another autoencoder. Empty where it is the model's own."""
    return tuple(name_of(each) for each in adapters if each.kind == part == VAE)


def file_of(name: str, files: Files) -> tuple[str, Path]:
    """An adapter's kind and file. Raises ``ModelNotFound``."""
    kind, _, tagged = name.partition(":")
    path = files.paths.get(OWN_LORA) if name == OWN else files.extras.get(tagged)
    if path is None:
        raise ModelNotFound(f"the {kind} {tagged[:17]} is not here", hint="limner models link FILE")
    return kind, path


def _worn(part: str, adapters: Sequence[Adapter], touched: Mapping[str, Collection[str]]) -> Worn:
    """The checkpoint's own LoRA at full strength, then others in the order of their hashes, so that any two requests
    with the same ones share; embeddings in the Plan's order, which gives their vectors their token ids."""
    scales: dict[str, float] = {OWN: 1.0} if part in touched.get(OWN, ()) else {}
    for each in sorted(adapters, key=lambda adapter: adapter.hash):
        name = name_of(each)
        if part in touched.get(name, ()):
            scales[name] = scales.get(name, 0.0) + scale_of(each, part)
    words = [name_of(each) for each in adapters if each.kind == EMBEDDING and part.startswith("text_encoder")]
    return Worn((*scales, *words), tuple(scales.values()))


def _touched(name: str, called: str, files: Files) -> Collection[str]:
    """The parts in which a LoRA changes anything; ``called`` is for messages."""
    _, path = file_of(name, files)
    return match(read_lora(path), targets_of(files), called, files.root.name).placed.keys()


def scale_of(adapter: Adapter, part: str) -> float:
    if adapter.text_scale is not None and part.startswith("text_encoder"):
        return adapter.text_scale
    return adapter.scale
