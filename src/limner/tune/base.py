"""The pre-trained model that is adapted: its files, what its configs say, and its parts as trainable networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING

from limner.errors import UnsupportedField
from limner.models import sd_load, tokenizer
from limner.models.family import Placement
from limner.models.inspect import read_json
from limner.models.latent.parts import TEXT, TEXT_2, UNET, VAE
from limner.models.latent.plan import Configs
from limner.models.resolving.resolve import Resolved
from limner.models.sdxl_plan import INDEX, PENULTIMATE
from limner.sampling.training import Training

if TYPE_CHECKING:
    from torch.nn import Module

FAMILIES = ("sd", "sdxl")
NUMBERS = 6
"""That XL is told of a picture: its original size, crop and target size."""
TOKENIZERS: Mapping[str, str] = {TEXT: "tokenizer", TEXT_2: "tokenizer_2"}


@dataclass(frozen=True)
class Base:
    """A resolved model of the Stable Diffusion 1, 2 or XL families."""

    resolved: Resolved

    @classmethod
    def of(cls, resolved: Resolved) -> Base:
        """Raises ``UnsupportedField`` for a family whose networks cannot be adapted here, and for networks that take
        more than words and a latent."""
        card, made = resolved.card, cls(resolved)
        if card.family not in FAMILIES:
            raise UnsupportedField(
                f"{card.name} is of the family {card.family!r}, which cannot be adapted",
                field="model",
                hint="pocket, Stable Diffusion 1, 2 and XL can",
            )
        unet = made.configs.unet
        distilled = unet.time_cond_proj_dim is not None or card.adapter is not None
        if unet.in_channels != unet.out_channels or distilled:
            raise UnsupportedField(
                f"{card.name} is an inpainting or distilled network, which words and pictures alone do not train",
                field="model",
                hint="train on the base that it was made from; the LoRA can then be laid over it",
            )
        if made.xl and TEXT not in made.encoders:
            raise UnsupportedField(f"{card.name} is XL's refiner", field="model", hint="train on XL's base")
        return made

    @property
    def name(self) -> str:
        """For people and for files that travel: of a checkpoint given by its path the file's own name, no more."""
        name = self.resolved.ref.name
        if not (name.startswith(("/", "~", ".")) or PureWindowsPath(name).is_absolute()):
            return name
        return PureWindowsPath(name).name.removesuffix(".safetensors") or name

    @cached_property
    def hash(self) -> str:
        return self.resolved.ref.weights_hash()

    @property
    def xl(self) -> bool:
        return self.resolved.card.family == "sdxl"

    @cached_property
    def configs(self) -> Configs:
        return Configs.read(self.resolved.files, (), self.resolved.card.name)

    @property
    def training(self) -> Training:
        return self.configs.training

    @property
    def encoders(self) -> tuple[str, ...]:
        """Text encoders that are there."""
        return tuple(part for part in (TEXT, TEXT_2) if f"{part}/config.json" in self.resolved.files.paths)

    @property
    def generation(self) -> str:
        """``sd1``, ``sd2`` or ``sdxl``, by the width of the text that the UNet reads; ``other`` for the built-in models
        and whatever else has parts of these kinds."""
        return {768: "sd1", 1024: "sd2", 2048: "sdxl"}.get(self.configs.unet.cross_attention_dim, "other")

    def side(self, asked: int | None) -> int:
        """Pixels a side to train at, of which a latent has whole cells at every level of the network.

        Raises ``UnsupportedField``."""
        side = asked or self.resolved.card.width or self.configs.native
        cell = self.configs.factor * self.configs.unet.downsample_factor
        if side % cell:
            raise UnsupportedField(
                f"size {side} is no multiple of {cell}", field="size", hint=f"{max(cell, side // cell * cell)} is"
            )
        return side

    def ids(self, texts: Sequence[str], part: str) -> tuple[list[list[int]], int]:
        """Token ids [N][L] of one encoder, one chunk each, and how many texts had to be cut to fit into it."""
        text = tokenizer.read(self.resolved.files, TOKENIZERS[part])
        made, cut = [], 0
        for each in texts:
            words = text.encode(each)
            room = text.length - 2
            cut += len(words) > room
            padding = [text.pad] * (room - len(words))
            made.append([text.bos, *words[:room], text.eos, *padding])
        return made, cut

    @property
    def length(self) -> int:
        """Tokens of a chunk, markers included."""
        return max(tokenizer.read(self.resolved.files, TOKENIZERS[part]).length for part in self.encoders)

    @property
    def told(self) -> Mapping[str, int]:
        """What XL's network is told besides words, with the width of each."""
        config = self.configs.unet
        if not self.xl:
            return {}
        return {
            "pooled": config.projection_class_embeddings_input_dim - NUMBERS * config.addition_time_embed_dim,
            "numbers": NUMBERS,
        }

    def load(self, part: str, device: str, dtype: str) -> Module:
        """One part with frozen weights that gradients can pass through. Raises ``ModelError``."""
        import torch

        return sd_load.load_part(part, self.resolved.files, Placement(torch.device(device), dtype), trainable=True)

    @cached_property
    def silent(self) -> bool:
        """Whether no words are zeros (most of XL) and not the states of an empty text: as drawing has it."""
        if not self.xl:
            return False
        paths = self.resolved.files.paths
        said = read_json(paths[INDEX]).get("force_zeros_for_empty_prompt") if INDEX in paths else None
        return said if isinstance(said, bool) else True

    @property
    def skip(self) -> int:
        """Layers of the text encoders that are left out: XL reads the last but one."""
        return PENULTIMATE - 1 if self.xl else 0


__all__ = ["FAMILIES", "TEXT", "TEXT_2", "UNET", "VAE", "Base"]
