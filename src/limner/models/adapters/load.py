"""A part with what it wears, for the runner: the plain network, shared, and the adapters beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from limner.models.adapters.changes import read_changes
from limner.models.adapters.embedding import vectors
from limner.models.adapters.lora_file import read_lora
from limner.models.adapters.match import match
from limner.models.adapters.overlay import AddedEmbedding, graft, lay_beside
from limner.models.adapters.side import Change
from limner.models.adapters.targets import targets_of
from limner.models.adapters.vae_load import load_vae
from limner.models.adapters.worn import EMBEDDING, LORA, VAE, file_of
from limner.models.family import Files, Placement
from limner.models.nets.clip import ClipText
from limner.sampling.course import Weights

__all__ = ["dressed"]

TOKENS = "embeddings.token_embedding"


def dressed(
    weights: Weights, files: Files, placement: Placement, resident: Callable[[Weights], nn.Module]
) -> nn.Module:
    """The network that ``weights`` with adapters names.

    Args:
        weights: its ``adapters`` are names of ``worn``.
        files: the checkpoint's; the adapters' are among its extras.
        placement: where an autoencoder of its own is to live; all else lives where the plain network does.
        resident: gives the plain network, loaded if need be.

    Raises ``ModelError``.
    """
    found = [file_of(name, files) for name in weights.adapters]
    if own := [path for kind, path in found if kind == VAE]:
        return load_vae(own[0], files, placement)
    module = resident(replace(weights, adapters=()))
    loras = [path for kind, path in found if kind == LORA]
    if loras:
        targets = targets_of(files)
        changes: list[Mapping[str, Change]] = []
        for column, path in enumerate(loras):
            lora = read_lora(path)
            placed = match(lora, targets, path.stem, files.root.name).placed.get(weights.part, {})
            changes.append(read_changes(path, placed, targets[weights.part], lora.alphas, column))
        module = _of(module, lay_beside(module, changes))
    words = [path for kind, path in found if kind == EMBEDDING]
    if words and isinstance(module, ClipText):
        module = _of(module, _with_words(module, [vectors(path, weights.part) for path in words]))
    return module


def _of(plain: nn.Module, twin: nn.Module) -> nn.Module:
    """The twin keeps the plain network's own object alive, so that nobody reads it again meanwhile."""
    twin.__dict__["plain"] = plain
    return twin


def _with_words(module: ClipText, added: Sequence[torch.Tensor]) -> ClipText:
    like = module.embeddings.position_embedding.weight
    table = torch.cat(list(added)).to(like.device, like.dtype)
    return graft(module, {TOKENS: lambda base: AddedEmbedding(base, module.config.vocab_size, table)})
