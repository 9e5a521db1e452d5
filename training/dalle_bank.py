"""Scenes as pocket-dalle learns them: their codes and the ids of their captions, kept and seen again.

A scene is rendered and tokenised once and then drawn many times, said another way each time. It takes 1.9 kB, so a bank
holds more scenes than a CPU can render in a night. What it holds follows from the step number.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from limner.models.dalle.text import normalise
from limner.models.dalle.tokens import Tokens
from training import captions, dalle, hints
from training.data import Batch, Batches, Stream
from training.loop import autocast
from training.render import Renderer
from training.scene import Scene
from training.vq_nets import PictureTokenizer
from training.world import Thing

WAYS = 4  # captions kept with each scene


class Said(Batches):
    """Batch ``index`` of a stream, each scene with ``WAYS`` captions as the text encoder reads them."""

    def __init__(self, stream: Stream, known: tuple[Thing, ...], words: Tokens) -> None:
        super().__init__(stream, known, {})
        self.words = words

    def __getitem__(self, index: int) -> Batch:
        batch = super().__getitem__(index)
        said = []
        for k, scene in enumerate(batch.scenes):
            rng = random.Random(f"said:{self.stream.seed}:{index}:{k}")
            texts = [captions.caption(scene, self.known, rng) for _ in range(WAYS)]
            said.append([dalle.encode(text, self.words) for text in texts])
        return Batch(batch.layout, np.array(said, np.int64), batch.scenes)


class Nouns(hints.Nouns):
    """Finds things' names in rows of this tokenizer's ids."""

    def __init__(self, known: tuple[Thing, ...], words: Tokens) -> None:
        def ids(name: str) -> tuple[int, ...]:
            return words.encode(normalise(name)).ids[1:-1]

        self.spelled = [
            sorted({ids(name) for pair in thing.names for name in pair}, key=len, reverse=True) for thing in known
        ]

    def of_batch(self, tokens: np.ndarray, scenes: tuple[Scene, ...]) -> Tensor:
        """[B, WAYS, T, 3] int16 of ``tokens`` [B, WAYS, T]."""
        found = [[self(row, scene) for row in rows] for rows, scene in zip(tokens.tolist(), scenes, strict=True)]
        return torch.from_numpy(np.array(found, np.int16))


@dataclass(frozen=True)
class Drawn:
    """Scenes out of the bank: ``codes`` [B, L], one caption's ``ids`` [B, T], and what ``hints`` says of both:
    ``cells`` [B, 2, GRID, GRID] and ``words`` [B, T, 3]. All int64."""

    codes: Tensor
    ids: Tensor
    cells: Tensor
    words: Tensor


class Bank:
    """A ring of ``room`` scenes on the training device."""

    def __init__(self, room: int, codes: int, length: int, device: str) -> None:
        cells, words = hints.empty(room, WAYS, length, device)
        self.rings = {
            "codes": torch.zeros(room, codes, dtype=torch.int16, device=device),
            "ids": torch.zeros(room, WAYS, length, dtype=torch.int16, device=device),
            "cells": cells,
            "words": words,
        }
        self.room = room
        self.held = 0  # scenes put so far

    def put(self, new: dict[str, Tensor]) -> None:
        """Add scenes in place of the oldest."""
        n = len(new["codes"])
        spots = (torch.arange(n) + self.held) % self.room
        for name, ring in self.rings.items():
            ring[spots.to(ring.device)] = new[name].to(ring.device, ring.dtype)
        self.held += n

    def draw(self, n: int) -> Drawn:
        """``n`` scenes at random with one caption each, from torch's global generator."""
        device = self.rings["codes"].device
        spots = torch.randint(0, min(self.held, self.room), (n,), device=device)
        ways = torch.randint(0, WAYS, (n,), device=device)
        codes, cells = (self.rings[name][spots].long() for name in ("codes", "cells"))
        ids, words = (self.rings[name][spots, ways].long() for name in ("ids", "words"))
        return Drawn(codes, ids, cells, words)

    def save(self, path: Path) -> None:
        """Keep what is held, whole or not at all."""
        n = min(self.held, self.room)
        partial = path.with_suffix(".part")
        torch.save({"held": self.held, "rings": {k: v[:n].clone() for k, v in self.rings.items()}}, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Take up what ``save`` kept."""
        state = torch.load(path, map_location=self.rings["codes"].device, weights_only=True)
        self.held = state["held"]
        for name, kept in state["rings"].items():
            self.rings[name][: len(kept)] = kept


@torch.no_grad()
def tokenised(model: PictureTokenizer, pictures: Tensor) -> Tensor:
    """Codes [B, L] of pictures [B, 3, H, W] in [-1, 1]. In bfloat16, two and a half times as fast as float32, from
    whose codes 1.5 % differ: near ones."""
    parts = torch.split((pictures + 1) / 2, 16)
    with autocast(pictures.device.type):
        return torch.cat([model.tokenise(each.contiguous(memory_format=torch.channels_last)) for each in parts])


def fed(
    bank: Bank, batches: Iterator[Batch], nouns: Nouns, renderer: Renderer, model: PictureTokenizer
) -> Iterator[int]:
    """Put one stream batch into the bank at each turn; how many scenes that was."""
    for batch in batches:
        bank.put(
            {
                "codes": tokenised(model, renderer(batch.layout)),
                "ids": torch.from_numpy(batch.tokens),
                "cells": torch.from_numpy(hints.cells(batch.layout)),
                "words": nouns.of_batch(batch.tokens, batch.scenes),
            }
        )
        yield len(batch.tokens)
