"""A bank of latents keeps the device busy with training.

Every step a few new scenes are rendered and encoded into it, and a whole batch is drawn from it, so that each scene is
seen several times, said another way each time. The bank's content follows from the step number, so a resumed run goes
on with the same scenes; a CPU keeps it in a file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training import hints, pocket
from training.data import Batch, Batches, Stream, held_out_scenes, stream
from training.loop import Trainer
from training.render import Renderer
from training.scene import FULL
from training.sprites import Atlas
from training.train_autoencoder import encode

WAYS = 4  # captions kept with each scene


class Bank:
    """A ring of latents, their captions and their labels, on the training device."""

    def __init__(self, room: int, latent: tuple[int, ...], device: str) -> None:
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float16
        self.latents = torch.zeros(room, *latent, dtype=dtype, device=device)
        self.tokens = torch.zeros(room, WAYS, pocket.LENGTH, dtype=torch.int16, device=device)
        self.cells, self.words = hints.empty(room, WAYS, pocket.LENGTH, device)
        self.held = 0  # scenes put so far

    def put(self, latents: Tensor, tokens: Tensor, cells: Tensor, words: Tensor) -> None:
        """Add scenes in place of the oldest."""
        room, n = len(self.latents), len(latents)
        spots = (torch.arange(n, device=latents.device) + self.held) % room
        for ring, new in self._rings(latents, tokens, cells, words):
            ring[spots] = new.to(ring.device, ring.dtype)
        self.held += n

    def _rings(self, *new: Tensor) -> list[tuple[Tensor, Tensor]]:
        return list(zip((self.latents, self.tokens, self.cells, self.words), new, strict=True))

    def draw(self, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``n`` scenes at random with one caption each, from torch's global generator; labels as ``put``'s."""
        device = self.latents.device
        spots = torch.randint(0, min(self.held, len(self.latents)), (n,), device=device)
        ways = torch.randint(0, WAYS, (n,), device=device)
        return (
            self.latents[spots].float(),
            self.tokens[spots, ways].long(),
            self.cells[spots].long(),
            self.words[spots, ways].long(),
        )

    def save(self, path: Path) -> None:
        """Keep what is held, whole or not at all."""
        n = min(self.held, len(self.latents))
        partial = path.with_suffix(".part")
        torch.save({"held": self.held, "rings": [r[:n] for r, _ in self._rings(*[self.latents] * 4)]}, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Take up what ``save`` kept."""
        state = torch.load(path, map_location=self.latents.device, weights_only=True)
        self.held = state["held"]
        for ring, kept in self._rings(*state["rings"]):
            ring[: len(kept)] = kept


def latent_scale(vae: AutoencoderKL, renderer: Renderer, atlas: Atlas, scenes: int = 128) -> float:
    """One over the latents' standard deviation, over a fixed set of scenes."""
    _, layout = held_out_scenes(scenes, 1, atlas.things, FULL)
    latents = torch.cat([encode(vae, p) for p in torch.split(renderer(layout), 16)])
    return 1 / latents.std().item()


def _fed(bank: Bank, batches: Iterator[Batch], nouns: hints.Nouns, draw: Callable[[Batch], Tensor]) -> Iterator[None]:
    """Put one stream batch into the bank at each turn; ``draw`` gives its scaled latents."""
    for batch in batches:
        words = np.stack(
            [
                np.stack([nouns(row, scene) for row in rows])
                for rows, scene in zip(batch.tokens.tolist(), batch.scenes, strict=True)
            ]
        )
        labels = torch.from_numpy(hints.cells(batch.layout)), torch.from_numpy(words)
        bank.put(draw(batch), torch.from_numpy(batch.tokens), *labels)
        yield


@dataclass(frozen=True)
class Plan:
    """What goes through a bank: scenes of a seed, how many latents it holds, how often each is seen, over how many
    scenes the curriculum widens, and how many things of the world there are (None: all)."""

    seed: int
    room: int
    reuse: int
    curriculum: int = 0
    things: int | None = None


class Source:
    """A bank that is filled as its trainer goes on; ``bank.pt`` beside the trainer's state holds it, on a CPU."""

    def __init__(
        self,
        plan: Plan,
        trainer: Trainer,
        atlas: Atlas,
        vocab: dict[str, int],
        renderer: Renderer,
        vae: AutoencoderKL,
        scale: float,
    ) -> None:
        options, room = trainer.options, plan.room
        self.trainer, self.plan = trainer, plan
        self.chunk = min(room, max(16, options.batch // plan.reuse))  # scenes rendered at once
        self.bank = Bank(room, (vae.config.latent_channels, pocket.LATENT, pocket.LATENT), options.device)
        # A GPU renders it again in seconds.
        self.path = None if options.device.startswith("cuda") else options.out / "bank.pt"
        if self.path and options.resume and trainer.step and self.path.exists():
            self.bank.load(self.path)
        if not self._wanted() - room <= self.bank.held <= self._wanted():
            self.bank.held = max(0, self._wanted() - room // self.chunk * self.chunk)
        scenes = Stream(plan.seed, self.chunk, plan.curriculum, WAYS, pocket.LENGTH, plan.things, aligned=True)
        batches = stream(Batches(scenes, atlas.things, vocab), self.bank.held // self.chunk, options.workers)
        nouns = hints.Nouns(atlas.things, vocab)
        self._fed = _fed(self.bank, batches, nouns, lambda batch: encode(vae, renderer(batch.layout)) * scale)

    def _wanted(self) -> int:
        """Scenes that have gone into the bank before the trainer's step."""
        plan, chunk = self.plan, self.chunk
        first = max(1, plan.room // 4 // chunk)
        return (first + self.trainer.step * self.trainer.options.batch // (chunk * plan.reuse)) * chunk

    def turns(self) -> Iterator[None]:
        """One turn a step, with the bank filled as far as the step wants it."""
        while True:
            while self.bank.held < self._wanted():
                next(self._fed)
            yield

    def save(self) -> None:
        """Keep the bank where it is kept."""
        if self.path:
            self.bank.save(self.path)
