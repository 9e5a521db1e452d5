"""The networks while they are trained: the denoiser with its LoRA, the text encoders or what they said."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from limner.models.nets.clip import ClipText
from limner.models.nets.unet import UNet
from limner.tune.base import UNET, Base
from limner.tune.caching import Said, Tokens, read_words
from limner.tune.data import Batch, Data
from limner.tune.layers import adapt, checkpointed, trained
from limner.tune.noise import Noising
from limner.tune.settings import TuneSettings

if TYPE_CHECKING:
    from torch.nn import Parameter


class Networks:
    """Everything a step runs through. ``parameters`` are what is learnt, by ``PART.LAYER.down`` and ``.up``; ``layers``
    the names of the adapted layers by part."""

    def __init__(self, base: Base, settings: TuneSettings, data: Data) -> None:
        self.base, self.settings, self.data = base, settings, data
        self.noising = Noising.of(base.training, settings.min_snr, settings.device)
        tokens = Tokens.of(data.texts, base)
        self.cut = tokens.cut
        self._tokens = tokens
        encoders = {part: cast("ClipText", self._load(part)) for part in base.encoders}
        self.layers: dict[str, tuple[str, ...]] = {}
        self.parameters: dict[str, Parameter] = {}
        self._encoders: dict[str, ClipText] | None = None
        self._said: Said | None = None
        if settings.text:
            for part, encoder in encoders.items():
                self._adapt(part, encoder)
            self._encoders = encoders
        else:
            with torch.no_grad():
                self._said = read_words(tokens.by_part, encoders, base)
        del encoders
        self.unet = cast("UNet", self._load(UNET))
        self._adapt(UNET, self.unet)
        if settings.checkpointing:
            checkpointed(self.unet)
        self.dtype = self.unet.conv_in.weight.dtype

    def _load(self, part: str) -> torch.nn.Module:
        return self.base.load(part, self.settings.device, self.settings.dtype)

    def _adapt(self, part: str, module: torch.nn.Module) -> None:
        self.layers[part] = adapt(module, part, self.settings)
        self.parameters |= {f"{part}.{name}": each for name, each in trained(module).items()}

    @property
    def modules(self) -> tuple[torch.nn.Module, ...]:
        """What is in memory while it trains."""
        return (self.unet, *(self._encoders or {}).values())

    def loss(self, batch: Batch) -> Tensor:
        """The batch's mean loss, a scalar."""
        device = self.settings.device
        clean = self.data.latents.sample(batch.rows, batch.spread).to(device)
        t = batch.t.to(device)
        noisy, target = self.noising.noised(clean, batch.noise.to(device), t)
        said = self._words(batch)
        told: dict[str, Tensor] = {}
        if said.pooled is not None:
            told = {"pooled": said.pooled, "numbers": self.data.latents.numbers[batch.rows].to(device)}
        sample = noisy.to(self.dtype, memory_format=torch.channels_last)
        answer = self.unet(sample, t.float(), said.states.to(self.dtype), **told)
        errors = self.noising.errors(answer, target, t)
        return (errors * batch.share.to(device)).sum()

    def _words(self, batch: Batch) -> Said:
        """What each row of the batch is told. A silent one is told what drawing tells for no words."""
        places = self.data.caption[batch.rows]
        places = torch.where(batch.silent, torch.full_like(places, self.data.empty), places)
        if self._said is not None:
            said = self._said.rows(places.to(self._said.states.device))
        else:
            assert self._encoders is not None
            said = read_words(self._tokens.rows(places), self._encoders, self.base)
        if not self.base.silent:
            return said
        spoken = (~batch.silent).to(said.states)
        pooled = None if said.pooled is None else said.pooled * spoken[:, None]
        return Said(said.states * spoken[:, None, None], pooled)
