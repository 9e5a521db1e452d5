"""A family's part of planning with adapters: does each fit this checkpoint, and what does it change. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.models.adapters.embedding import read_embedding
from limner.models.adapters.lora_file import read_lora
from limner.models.adapters.match import match
from limner.models.adapters.targets import targets_of
from limner.models.adapters.vae import read_vae
from limner.models.adapters.words import NONE, Added
from limner.models.adapters.worn import EMBEDDING, LORA, VAE, file_of, name_of
from limner.models.family import Files
from limner.models.inspect import read_json
from limner.models.nets.configs import AutoencoderConfig, ClipTextConfig
from limner.types import Adapter, Notice

ENCODERS: Mapping[str, str] = {"text_encoder": "", "text_encoder_2": "_2"}
"""Text encoders of a checkpoint, with the suffix that their roles have in a Recipe."""
DENOISERS = frozenset({"unet", "transformer"})


@dataclass(frozen=True, slots=True)
class Adapted:
    """The autoencoder in use, the words that stand for vectors, and what to say."""

    vae: AutoencoderConfig
    added: Added = NONE
    notices: tuple[Notice, ...] = ()


def adapt(adapters: Sequence[Adapter], files: Files, model: str, vae: AutoencoderConfig) -> Adapted:
    """Check every adapter against the checkpoint. ``model`` is its name, ``vae`` its own autoencoder.

    Raises ``ModelError`` for one that does not fit: a LoRA that matches nothing or another shape, an embedding of
    another width, an autoencoder of other latents.
    """
    notices: list[Notice] = []
    words: list[tuple[str, int]] = []
    for adapter in adapters:
        if adapter.kind == LORA:
            notices.extend(_check_lora(adapter, files, model))
        elif adapter.kind == EMBEDDING:
            embedding = read_embedding(_path(adapter, files))
            embedding.refuse_other(_widths(files), adapter.word or adapter.name, model)
            words.append((adapter.word or adapter.name, embedding.count))
        elif adapter.kind == VAE:
            file = read_vae(_path(adapter, files), vae, adapter.name, model)
            notices.extend(filter(None, [file.other_family(adapter.name, model, vae)]))
            vae = file.config
            if not file.own_scaling:
                notices.append(file.notice(adapter.name))
    return Adapted(vae, Added.of(words, _vocabulary(files) if words else {}), tuple(notices))


def _check_lora(adapter: Adapter, files: Files, model: str) -> Iterator[Notice]:
    """What to say of one that fits. Raises ``ModelError``."""
    lora, targets = read_lora(_path(adapter, files)), targets_of(files)
    if not DENOISERS & targets.keys():
        message = f"whether LoRA {adapter.name!r} fits {model} shows when the model's weights are here"
        yield Notice(code="lora-unchecked", message=message)
    elif report := match(lora, targets, adapter.name, model).report(adapter.name):
        yield Notice(code="lora-keys", message=report)


def _path(adapter: Adapter, files: Files) -> Path:
    return file_of(name_of(adapter), files)[1]


def _configs(files: Files) -> Mapping[str, ClipTextConfig]:
    return {
        part: ClipTextConfig.from_json(read_json(files.paths[f"{part}/config.json"]))
        for part in ENCODERS
        if f"{part}/config.json" in files.paths
    }


def _widths(files: Files) -> Mapping[str, int]:
    return {part: config.hidden_size for part, config in _configs(files).items()}


def _vocabulary(files: Files) -> Mapping[str, int]:
    return {ENCODERS[part]: config.vocab_size for part, config in _configs(files).items()}
