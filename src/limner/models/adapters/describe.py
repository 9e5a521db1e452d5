"""What a model file that is laid over a checkpoint is, for people: its family, rank and layers, and how it was trained.
Torch-free; only the header is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from limner.errors import MismatchedWeights
from limner.models.adapters.embedding import read_embedding
from limner.models.adapters.lora_base import base_of
from limner.models.adapters.lora_file import LoraFile, read_lora
from limner.models.adapters.vae import PART
from limner.models.inspect import Header, read_header
from limner.models.links.contents import kind_of_file
from limner.models.links.layouts import Kind
from limner.models.singlefiles import shapes
from limner.models.stored import pieces

Said = Iterator[tuple[str, str]]

TITLES: Mapping[Kind, str] = {
    "checkpoint": "a checkpoint",
    "lora": "a LoRA",
    "embedding": "a textual inversion",
    "vae": "an autoencoder (VAE)",
    "upscaler": "an upscaler",
}
TRAINED: Mapping[str, str] = {
    "modelspec.title": "title",
    "modelspec.author": "author",
    "modelspec.description": "description",
    "modelspec.trigger_phrase": "trigger phrase",
    "modelspec.license": "licence",
    "ss_output_name": "name",
    "ss_sd_model_name": "trained on",
    "ss_base_model_version": "base version",
    "ss_network_module": "network",
    "ss_resolution": "resolution",
    "ss_num_train_images": "images",
    "ss_steps": "steps",
    "ss_epoch": "epochs",
    "ss_learning_rate": "learning rate",
    "ss_optimizer": "optimizer",
    "ss_clip_skip": "clip skip",
}
"""What trainers write of a LoRA: keys of their metadata, and what they are called here."""

TAGS = "ss_tag_frequency"
TAGS_SHOWN = 10


def describe(path: Path) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What the file is, and facts about it as (label, text). Raises ``ModelError`` for what cannot be used."""
    header = read_header(path)
    kind = kind_of_file(path)
    if kind is None:
        raise MismatchedWeights(
            f"{path.name} is none of the kinds of model file that Limner knows",
            hint=f"it holds {len(header.tensors)} tensors, such as {', '.join(list(header.tensors)[:3])}",
        )
    facts = {"lora": _lora, "embedding": _embedding, "vae": _vae}.get(kind)
    said = () if facts is None else tuple(facts(path, header))
    return TITLES[kind], (*said, *_trained(header.metadata))


def _lora(path: Path, header: Header) -> Said:
    lora = read_lora(path)
    yield "for", base_of(lora) or "not said in the file"
    yield "form", ", ".join(lora.forms)
    yield "rank", _ranks(lora)
    yield "layers", ", ".join(f"{count} in {part}" for part, count in _parts(lora).items())
    convolutions = sum(len(layer.shapes.get("down", ())) == 4 and layer.shapes["down"][2] > 1 for layer in lora.layers)
    yield "convolutions", str(convolutions) if convolutions else "none"
    yield "keys", f"{lora.keys}" + (f", {len(lora.unknown)} of them of no form known" if lora.unknown else "")


def _ranks(lora: LoraFile) -> str:
    ranks = lora.ranks
    return f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}" if ranks else ""


def _parts(lora: LoraFile) -> Mapping[str, int]:
    return Counter(layer.part or "a network that the file does not name" for layer in lora.layers)


def _embedding(path: Path, header: Header) -> Said:
    embedding = read_embedding(path)
    yield "for", embedding.made_for
    yield "vectors", str(embedding.count)
    word = f"{path.stem} (the file's name)" + (f" or {embedding.token}" if embedding.token else "")
    yield "word", f"{word}, once it is linked: limner models link FILE"


def _vae(path: Path, header: Header) -> Said:
    found = shapes.autoencoder({name: piece.shape for name, piece in pieces(PART, header.tensors)})
    widths = found["block_out_channels"]
    assert isinstance(widths, list)
    yield "latents", f"{found['latent_channels']} channels, a cell for {2 ** (len(widths) - 1)} pixels a side"
    yield "widths", ", ".join(map(str, widths))


def _trained(metadata: Mapping[str, str]) -> Said:
    for key, label in TRAINED.items():
        if (text := metadata.get(key, "").strip()) not in ("", "None"):
            yield label, text
    if tags := _tags(metadata.get(TAGS, "")):
        yield "commonest tags", ", ".join(tags)


def _tags(text: str) -> list[str]:
    """The words most often under its training pictures: what a prompt may call it by."""
    try:
        said = json.loads(text)
    except ValueError:
        return []
    counted: Counter[str] = Counter()
    for folder in said.values() if isinstance(said, dict) else ():
        for tag, count in folder.items() if isinstance(folder, dict) else ():
            if isinstance(count, int):
                counted[str(tag).strip()] += count
    return [tag for tag, _ in counted.most_common(TAGS_SHOWN)]
