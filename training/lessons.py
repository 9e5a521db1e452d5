"""What a detector is taught: scenes drawn from a seed of its own, and the labels of every cell of their pictures."""

import random
from dataclasses import dataclass, replace

import numpy as np
from torch.utils.data import Dataset

from limner.evaluate.nets.detector import COLOURS, GRID, GROUNDS, PLACES, TIMES
from training import world
from training.layout import SLOTS, Layout, lay_out
from training.scene import FULL, SINGLE, Scene, blend, training_scene
from training.sprites import Atlas
from training.world import PLAIN, TIMELESS, Thing

IGNORED = -100
NEAR = 0.22  # a cell this near a thing's centre, as a share of its side, is taught what the thing is
CURRICULUM = 40_000  # pictures until scenes are as mixed as they will be


@dataclass(frozen=True)
class Lesson:
    """Scenes as numbers and their labels [B] int64: place, time and ground, IGNORED where nothing can be told."""

    layout: Layout
    places: np.ndarray
    times: np.ndarray
    grounds: np.ndarray


def around(scene: Scene) -> tuple[int, int, int]:
    """A scene's place, time and ground by number; the time IGNORED where there is no sun."""
    timeless = scene.place in TIMELESS
    return (
        PLACES.index(scene.place),
        IGNORED if timeless else TIMES.index(scene.time),
        GROUNDS.index(scene.ground if scene.place == PLAIN and scene.ground else "none"),
    )


def loosened(layout: Layout, rng: np.random.Generator) -> Layout:
    """Things moved, resized and turned a little more than the renderer does: drawn ones stand where they like."""
    slots = layout.slots.copy()
    b = len(slots)
    slots[:, :, 1:3] += rng.uniform(-0.06, 0.06, (b, 1, 2)) + rng.uniform(-0.02, 0.02, (b, SLOTS, 2))
    slots[:, :, 3] *= rng.uniform(0.85, 1.15, (b, 1))
    slots[:, :, 4] += rng.uniform(-0.06, 0.06, (b, SLOTS))
    return replace(layout, slots=slots.astype(np.float32))


class Lessons(Dataset[Lesson]):
    """Batch ``index`` of a seed. ``favoured``: a third of the scenes show only the first so many things.

    Every second batch begins from aligned layouts, in which things are larger: pocket draws those.
    """

    def __init__(
        self,
        seed: int,
        batch: int,
        known: tuple[Thing, ...],
        favoured: int | None = None,
        curriculum: int = CURRICULUM,
    ) -> None:
        self.seed, self.batch, self.known, self.favoured, self.curriculum = seed, batch, known, favoured, curriculum

    def __getitem__(self, index: int) -> Lesson:
        rngs = [random.Random(f"detector:{self.seed}:{index}:{k}") for k in range(self.batch)]
        mix = blend(SINGLE, FULL, min(1.0, index * self.batch / self.curriculum)) if self.curriculum else FULL
        scenes = [training_scene(r, self.known, mix, self.favoured if r.random() < 1 / 3 else None) for r in rngs]
        layout = loosened(lay_out(scenes, rngs, index % 2 == 1), np.random.default_rng([self.seed, index]))
        places, times, grounds = np.array([around(s) for s in scenes], np.int64).T
        return Lesson(layout, places, times, grounds)


@dataclass(frozen=True)
class Taught:
    """What cells are told: ``there`` [B, G, G] float32; and of P cells near a thing (``picture``, ``row``, ``column``)
    ``thing`` and ``colour`` (-1: its own) [P] int64, ``shift`` [P, 2] float32 and ``weight`` [P], which adds up to one
    a thing."""

    there: np.ndarray
    picture: np.ndarray
    row: np.ndarray
    column: np.ndarray
    thing: np.ndarray
    colour: np.ndarray
    shift: np.ndarray
    weight: np.ndarray


def taught(layout: Layout) -> Taught:
    """The labels of all cells. Where two things overlap, the one drawn later."""
    slots = layout.slots
    there = np.zeros((len(slots), GRID, GRID), np.float32)
    centre = np.arange(GRID) + 0.5
    owner = np.full((len(slots), GRID, GRID), -1)
    for k in range(slots.shape[1]):
        shown, x, y, side = slots[:, k, 0] >= 0, slots[:, k, 1] * GRID, slots[:, k, 2] * GRID, slots[:, k, 3] * GRID
        inside = shown & (x >= 0) & (x < GRID) & (y >= 0) & (y < GRID)
        at = np.flatnonzero(inside)
        there[at, y[at].astype(int), x[at].astype(int)] = 1
        reach = np.maximum(NEAR * side, 0.71)[:, None, None]
        near = np.maximum(abs(centre[None, None] - x[:, None, None]), abs(centre[None, :, None] - y[:, None, None]))
        owner[inside[:, None, None] & (near < reach)] = k
    picture, row, column = np.nonzero(owner >= 0)
    slot = owner[picture, row, column]
    mine = slots[picture, slot]
    shift = mine[:, 1:3] * GRID - np.stack([column, row], 1) - 0.5
    cells = np.bincount(picture * SLOTS + slot, minlength=len(slots) * SLOTS)
    weight = 1 / cells[picture * SLOTS + slot]
    thing, colour = mine[:, 0].astype(np.int64), mine[:, 5].astype(np.int64)
    return Taught(there, picture, row, column, thing, colour, shift.astype(np.float32), weight.astype(np.float32))


def own_colours(atlas: Atlas) -> np.ndarray:
    """Of each thing as it is: the share of its pixels that each named colour is nearest to, [T, 11] float32."""

    def opponent(rgb: np.ndarray) -> np.ndarray:  # lightness counts for less than hue
        light = rgb @ np.array([0.30, 0.59, 0.11])
        red_green, yellow_blue = rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
        return np.stack([0.5 * light, red_green, yellow_blue], -1)

    table = opponent(np.array([world.COLOURS[c] for c in COLOURS]) / 255)
    shares = np.zeros((len(atlas.pixels), len(COLOURS)), np.float32)
    for k, cell in enumerate(atlas.pixels):
        solid = opponent(cell[cell[..., 3] > 128][:, :3] / 255)
        nearest = ((solid[:, None] - table) ** 2).sum(-1).argmin(1)
        shares[k] = np.bincount(nearest, minlength=len(COLOURS)) / max(1, len(solid))
    return shares
