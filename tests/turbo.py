"""``pocket`` with an untrained LoRA of its own: a stand-in for ``pocket-turbo``, written as the recipe writes it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from training import lora

from limner.models.catalog import OWN_LORA, Card, Catalog
from tests.builtin import CARD
from tests.checkpoints import POCKET

NAME = "pocket-turbo"


def write(folder: Path, rank: int = 4, seed: int = 0) -> Path:
    """The LoRA's file in ``folder``: small random changes of all layers that the recipe adapts."""
    with torch.device("meta"):  # of the network its layers' shapes are enough
        config = json.loads((POCKET / "unet" / "config.json").read_text("utf-8"))
        adapters = lora.adapt(UNet2DConditionModel.from_config(config), rank)
    torch.manual_seed(seed)
    for adapter in adapters.values():
        for part, spread in (("lora_A", 1 / rank), ("lora_B", 0.05)):
            part_of = adapter.get_submodule(part).to_empty(device="cpu")
            nn.init.normal_(part_of.get_parameter("weight"), std=spread)
    path = folder / Path(OWN_LORA).name
    lora.save(adapters, path)
    return path


def card(folder: Path) -> Card:
    """A card as the catalog has it, with the LoRA of ``folder``."""
    told = {"name": NAME, "title": "Pocket Turbo", "adapter": str(folder), "steps": 4, "guidance": 1.0, "solver": "lcm"}
    size = (CARD.size_bytes or 0) + (folder / Path(OWN_LORA).name).stat().st_size
    return CARD.model_copy(update={**told, "size_bytes": size, "blurb": "pocket in four steps"})


def cards(folder: Path) -> tuple[Card, ...]:
    """The catalog's cards, this one among them."""
    return (*(each for each in Catalog.load().cards if each.name != NAME), card(folder))
