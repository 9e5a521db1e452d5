"""Batches of scenes by number: batch i of a seed is the same on every machine, with any number of workers."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from training import captions
from training.layout import Layout, lay_out
from training.scene import FULL, SINGLE, Mix, Scene, blend, is_held_out, training_scene
from training.scene import draw as draw_scene
from training.world import Thing


@dataclass(frozen=True)
class Batch:
    """``tokens``: [B, ways, length] int64, each row one way of saying the scene. ``scenes``: what they show."""

    layout: Layout
    tokens: np.ndarray
    scenes: tuple[Scene, ...]


@dataclass(frozen=True)
class Stream:
    """What is drawn: from which seed, in which batches, and over how many scenes the curriculum widens.

    ``aligned``: things stand on whole cells, ``centred``: and alone in the middle (layout.py).
    """

    seed: int
    batch: int
    curriculum: int = 0
    ways: int = 0
    length: int = 32
    things: int | None = None
    aligned: bool = False
    centred: bool = False
    full: Mix = FULL

    def mix(self, index: int) -> Mix:
        """Single things first, everything once ``curriculum`` scenes have been seen."""
        seen = index * self.batch
        return blend(SINGLE, self.full, min(1.0, seen / self.curriculum)) if self.curriculum else self.full


class Batches(Dataset[Batch]):
    """Batch ``index`` of a stream over the known things."""

    def __init__(self, stream: Stream, known: tuple[Thing, ...], vocab: dict[str, int]) -> None:
        self.stream, self.known, self.vocab = stream, known, vocab

    def __getitem__(self, index: int) -> Batch:
        stream, mix = self.stream, self.stream.mix(index)
        rngs = [random.Random(f"{stream.seed}:{index}:{k}") for k in range(stream.batch)]
        scenes = [training_scene(r, self.known, mix, stream.things) for r in rngs]
        layout = lay_out(scenes, rngs, stream.aligned, stream.centred)
        said = [
            [captions.encode(captions.caption(s, self.known, r), self.vocab, stream.length) for _ in range(stream.ways)]
            for s, r in zip(scenes, rngs, strict=True)
        ]
        return Batch(layout, np.array(said, np.int64).reshape(stream.batch, stream.ways, stream.length), tuple(scenes))


class Onward(torch.utils.data.Sampler[int]):
    """start, start + 1, ... without end."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        index = self.start
        while True:
            yield index
            index += 1


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def stream(batches: Batches, start: int, workers: int) -> Iterator[Batch]:
    """Batches from number ``start`` on, drawn ahead by ``workers`` processes (0: in this one)."""
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=Onward(start),
        num_workers=workers,
        prefetch_factor=8 if workers else None,
        worker_init_fn=_one_thread,
    )
    return iter(loader)


def held_out_scenes(
    n: int, seed: int, known: tuple[Thing, ...], mix: Mix = FULL, aligned: bool = False, centred: bool = False
) -> tuple[list[Scene], Layout]:
    """``n`` scenes that each show a held-out combination, and their layout."""
    scenes: list[Scene] = []
    rngs: list[random.Random] = []
    k = 0
    while len(scenes) < n:
        rng = random.Random(f"held-out:{seed}:{k}")
        k += 1
        scene = draw_scene(rng, len(known), mix)
        if is_held_out(scene, known):
            scenes.append(scene)
            rngs.append(rng)
    return scenes, lay_out(scenes, rngs, aligned, centred)
